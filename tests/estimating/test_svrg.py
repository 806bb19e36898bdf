"""SVRG's snapshots."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from tests.support.estimate_rounds import play_round, uncoded_estimate


def test_svrg_waits_for_everybody_in_a_snapshot_round() -> None:
    """every = 3: rounds 1, 4, 7 take all 6 slots' groups and give the exact gradient."""
    coding = Coding.of(parse("agc:c=2,r=2,cache=svrg:every=3"), 6)
    session, estimate = coding.begin(), coding.estimate(4)
    rng = np.random.default_rng(1)
    for number in range(1, 8):
        g = rng.normal(size=(6, 4))
        gradient, _, arrived = play_round(session, estimate, list(range(6)), g, g[:, 0])
        exact = np.allclose(gradient, g.sum(axis=0), atol=1e-12)
        assert exact == (number % 3 == 1)
        assert (len(arrived) > 2) == (number % 3 == 1)


def test_every_is_a_positive_number_of_rounds() -> None:
    with pytest.raises(UsageError, match="every=0"):
        uncoded_estimate("svrg:every=0")
