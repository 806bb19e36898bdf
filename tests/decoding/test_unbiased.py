"""Decoders that promise to be right on average, over all sets of arrivals of a size."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import DecoderContext

R = 3


def code_of(spec: str, n_workers: int) -> GradientCode:
    return CODES.build(spec, n_workers, None, np.random.default_rng(1))


@pytest.mark.parametrize("scale", ["none", "unbiased", "group,p=0.5", "coverage"])
def test_nothing_makes_up_for_a_block_that_nobody_holds(scale: str) -> None:
    code = code_of("coupon:c=1", 6)
    assert code.groups is not None
    assert not code.groups.sizes.all()
    decoder = DECODERS.build(f"first-copy:scale={scale}", code, DecoderContext(R))
    assert not decoder.unbiased


@pytest.mark.parametrize(
    ("code", "n_workers", "decoder", "promises"),
    [
        ("uncoded", 6, "first-copy", True),
        ("frc:c=2", 6, "first-copy:scale=coverage", True),
        ("frc:c=2", 6, "first-copy:scale=unbiased", True),
        ("regular:c=2", 6, "one-step", True),
        ("regular:c=2", 6, "one-step:scale=optimal", False),
        ("regular:c=2", 6, "fixed:p=0.5", True),
        ("regular:c=2", 6, "least-squares", False),
    ],
)
def test_mean_task_weights_are_equal(
    code: str, n_workers: int, decoder: str, promises: bool
) -> None:
    built = code_of(code, n_workers)
    made = DECODERS.build(decoder, built, DecoderContext(R))
    assert made.unbiased == promises
    total = np.zeros(built.n_tasks)
    for arrivals in combinations(range(n_workers), R):
        made.begin()
        for slot in arrivals:
            made.arrive(slot)
        total += made.finish().task_weights
    if promises:
        np.testing.assert_allclose(total / total.mean(), 1.0, rtol=1e-9)
