"""Where codes amplify the rounding of messages, and that an exact scheme is not let in for it."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.coding.amplification import (
    Amplification,
    StragglerSets,
    likely_worst,
    measure_amplification,
)
from erasurehead.coding.base import GradientCode
from erasurehead.errors import UsageError


def make(spec: str, k: int, seed: int = 0) -> GradientCode:
    return CODES.build(spec, k, None, np.random.default_rng(seed))


def measured(spec: str, k: int, s: int) -> Amplification:
    return measure_amplification(make(spec, k), s, np.random.default_rng(1))


def test_neighbours_are_harmless_to_random_cyclic_repetition_and_scattered_sets_are_not() -> None:
    found = measured("cyclic-repetition:s=5", 30, 5)
    assert found.neighbours < 4 * found.median
    assert found.worst > 25 * found.neighbours


def test_neighbours_are_the_worst_of_cyclic_mds() -> None:
    found = measured("cyclic-mds:s=5", 30, 5)
    assert found.neighbours > 300 * found.median
    assert found.worst == pytest.approx(found.neighbours, rel=0.01)


def test_the_complex_code_amplifies_more_than_random_coefficients_when_k_and_s_grow() -> None:
    complex_mds = measured("cyclic-mds:s=10,field=complex", 60, 10)
    random = measured("cyclic-repetition:s=10", 60, 10)
    assert complex_mds.median > 500 * random.median


def test_the_condition_number_is_a_poor_guide() -> None:
    """The real code has the larger one, and amplifies less at the median."""
    found = []
    for spec in ("cyclic-mds:s=5", "cyclic-mds:s=5,field=complex"):
        sets = StragglerSets(make(spec, 30), 5, np.random.default_rng(0))
        late = sets.random(100)
        spectra = [np.linalg.svd(sets.weights(each)[1], compute_uv=False) for each in late]
        conditions = [s[0] / s[s > 1e-12 * s[0]][-1] for s in spectra]
        found.append((np.median(conditions), np.median([sets.amplification(x) for x in late])))
    (real_condition, real), (complex_condition, complex_) = found
    assert real_condition > 3 * complex_condition
    assert real < complex_ / 50


def test_plain_sums_amplify_nothing() -> None:
    assert likely_worst(make("frc:c=3", 6)) == 1.0
    found = measured("frc:c=3", 6, 2)
    assert [found.median, found.high, found.neighbours, found.worst] == pytest.approx([1.0] * 4)


def test_an_exchange_never_amplifies_less() -> None:
    sets = StragglerSets(make("cyclic-repetition:s=3", 12), 3, np.random.default_rng(0))
    for late in sets.random(10):
        better = sets.exchanged(late, 3)
        assert len(np.unique(better)) == 3
        assert sets.amplification(better) >= sets.amplification(late)


def test_a_quick_look_finds_what_a_long_one_does_to_an_order_of_magnitude() -> None:
    for spec, s in (("cyclic-repetition:s=5", 5), ("cyclic-mds:s=5", 5)):
        assert likely_worst(make(spec, 30)) > measured(spec, 30, s).worst / 10


def test_what_float32_loses_is_bounded_by_the_amplification() -> None:
    """The decoded gradient of rounded messages, in the worst sets that are found."""
    code, rng = make("cyclic-repetition:s=5", 30), np.random.default_rng(2)
    sets = StragglerSets(code, 5, rng)
    gradients = rng.normal(size=(30, 50))
    rounding, largest = 2.0**-24, np.abs(gradients).max()
    for late in (sets.exchanged(sets.random(1)[0], 12), *sets.neighbours(2)):
        weights, rows = sets.weights(late)
        sent = rows @ gradients
        lost = np.abs(weights @ sent.astype(np.float32) - weights @ sent).max()
        assert lost <= sets.amplification(late) * rounding * 30 * largest


@pytest.mark.parametrize(
    ("k", "s", "advice"),
    [(12, 2, "field=complex"), (30, 4, "field=complex"), (60, 10, "cyclic-repetition:s=10")],
)
def test_where_there_is_no_real_mds_code_the_one_that_amplifies_less_is_named(
    k: int, s: int, advice: str
) -> None:
    with pytest.raises(UsageError, match=f"use s={s - 1}, s={s + 1} or {advice}"):
        make(f"cyclic-mds:s={s}", k)
