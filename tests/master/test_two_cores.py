"""Long sums in two halves."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead_master.run import two_cores
from erasurehead_master.run.two_cores import HALVED_PARAMETERS, TwoCores

PARAMETERS = HALVED_PARAMETERS + 10_001
"""Which have no half of whole blocks."""


@pytest.fixture
def on_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_cores, "usable_cores", lambda: 2)


@pytest.mark.usefixtures("on_two_cores")
def test_halves_are_worked_on_by_two_threads() -> None:
    """Each waits for the other, which one thread alone could not do."""
    both = threading.Barrier(2, timeout=60)
    parts = []

    def work(part: slice) -> None:
        both.wait()
        parts.append((part.start, part.stop))

    TwoCores().do(HALVED_PARAMETERS + 99, work)
    middle = HALVED_PARAMETERS // 2
    assert sorted(parts) == [(0, middle), (middle, HALVED_PARAMETERS + 99)]


@pytest.mark.usefixtures("on_two_cores")
@pytest.mark.parametrize("half", [0, 1])
def test_a_fault_in_either_half_is_heard_of(half: int) -> None:
    def work(part: slice) -> None:
        if bool(part.start) == bool(half):
            raise ValueError("this half")

    with pytest.raises(ValueError, match="this half"):
        TwoCores().do(HALVED_PARAMETERS, work)


def test_one_core_or_few_parameters_are_not_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[slice] = []
    monkeypatch.setattr(two_cores, "usable_cores", lambda: 1)
    TwoCores().do(HALVED_PARAMETERS, parts.append)
    monkeypatch.setattr(two_cores, "usable_cores", lambda: 2)
    TwoCores().do(HALVED_PARAMETERS - 1, parts.append)
    assert parts == [slice(0, HALVED_PARAMETERS), slice(0, HALVED_PARAMETERS - 1)]


@pytest.mark.usefixtures("on_two_cores")
@pytest.mark.parametrize(
    ("text", "n_arrive"),
    [
        ("uncoded / first-copy:scale=coverage / fraction:r=3 / saga", 3),
        ("uncoded / fixed:p=0.1/0.2/0.3/0.4/0.5/0.6 / fraction:r=5 / saga", 5),
        ("cyclic-mds:s=1 / least-squares / exact / sag", 5),
    ],
)
def test_two_threads_estimate_to_the_last_bit_what_one_does(text: str, n_arrive: int) -> None:
    """Over rounds in which others arrive each time, also in single precision."""
    estimates: list[list[FloatArray]] = []
    for in_halves in (False, True):
        rng = np.random.default_rng(3)
        coding = Coding.of(parse(text), 6, seed=3)
        decoder, estimate = coding.begin().decoder, coding.estimate(PARAMETERS)
        if in_halves:
            estimate.in_parts = TwoCores().do
        estimates.append([])
        for round_ in range(4):
            decoder.begin()
            estimate.begin()
            for slot in rng.permutation(6)[:n_arrive].tolist():
                weight = decoder.arrive(slot)
                values = rng.standard_normal(PARAMETERS)
                values = values.astype(np.float32) if round_ == 2 else values
                estimate.take(CodedVector(slot, None, values), weight)
            estimates[-1].append(estimate.finish(decoder.finish())[0].copy())
            estimate.absorb()
    for one, two in zip(*estimates, strict=True):
        np.testing.assert_array_equal(one, two)
    assert np.abs(estimates[0][-1]).max() > 0
