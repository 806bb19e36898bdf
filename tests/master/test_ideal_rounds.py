"""The master's own rounds under virtual time, against the ideal of the same delays."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.straggling import DELAYS
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.ideal import ideal_round_s


@pytest.mark.parametrize("scheme", ["uncoded", "egc:c=2", "agc:c=3,r=2", "uncoded:deadline_s=0.3"])
def test_without_overhead_rounds_are_ideal(
    virtual: Callable[..., VirtualCluster], scheme: str
) -> None:
    """Messages and arithmetic take no virtual time, so the master's rounds last the ideal.

    A deadline once closed nothing when opening time + deadline - opening time rounded to below
    the deadline: the round then lasted until the next arrival.
    """
    cluster = virtual(scheme=scheme, workers=6, rounds=8, seed=5, delay="exponential:mean_s=0.5")
    for n in range(6):
        cluster.start(f"w{n}")
    cluster.run()
    coding = Coding.of(parse(scheme), 6, seed=5)
    model = DELAYS.build("exponential:mean_s=0.5", 6, 5)
    assert [r.duration_s for r in cluster.records] == pytest.approx(
        ideal_round_s(coding, model, range(1, 9))
    )
