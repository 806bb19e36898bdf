"""What is remembered one vector for."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.errors import UsageError
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.units import Units


@pytest.mark.parametrize(
    ("spec", "k"),
    [
        ("uncoded", 6),
        ("frc:c=3", 6),
        ("cyclic-sums:c=2", 6),
        ("pairwise-balanced:d=2", 7),
        ("bernoulli:c=5", 7),
        ("cyclic-mds:s=2,field=complex", 7),
    ],
)
def test_one_vector_of_each_unit_adds_up_to_the_full_gradient(spec: str, k: int) -> None:
    """sum_u c_u A[u] = 1, whichever symbol stands for unit u."""
    code = CODES.build(spec, k, None, np.random.default_rng(7))
    units, A = Units(code), code.matrix.toarray()
    for symbols in (range(code.n_symbols), reversed(range(code.n_symbols))):
        stands_for = {units.of_symbol[symbol]: symbol for symbol in symbols}
        assert len(stands_for) == units.n_held == len(units)
        sums = sum(units.weights[unit] * A[symbol] for unit, symbol in stands_for.items())
        np.testing.assert_allclose(sums, np.ones(code.n_tasks), atol=1e-12)


def test_a_group_without_a_slot_is_not_held() -> None:
    code = CODES.build("coupon:c=2", 6, None, np.random.default_rng(3))
    units = Units(code)
    assert units.n_held == len(set(units.of_symbol)) < len(units)


@pytest.mark.parametrize("code", ["bernoulli:c=2", "stochastic-block:c=2"])
def test_codes_that_do_not_add_up_are_refused(code: str) -> None:
    built = CODES.build(code, 7, None, np.random.default_rng(0))
    with pytest.raises(UsageError, match=rf"cached estimate.*'{built.name}'"):
        ESTIMATES.build("saga", built, 4, False)
