"""Rounds of anchored L-BFGS against `followed_rounds` of what arrivals renew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.records import Observer, RoundRecord
from erasurehead.theory.convergence import followed_rounds
from tests.simulator.test_nearly_separable import N_COLUMNS, least, power_law_rows
from tests.support.virtual_run import make_virtual

L2, GAP = 1e-3, 1e-3
ROWS = power_law_rows(0)


def objective(theta: FloatArray) -> float:
    margins = ROWS.labels * (ROWS.matrix() @ theta)
    return float(np.mean(np.logaddexp(0, -margins)) + 0.5 * L2 * theta @ theta)


BEST, FIRST = least(ROWS, L2), objective(np.zeros(N_COLUMNS))


class Gaps(Observer):
    """Looks at the model after each round."""

    def __init__(self, model: Callable[[], FloatArray]) -> None:
        self._model = model
        self.all: list[float] = []

    def round_over(self, record: RoundRecord) -> None:
        self.all.append((objective(self._model()) - BEST) / (FIRST - BEST))


@pytest.mark.parametrize(("format", "least", "most"), [("f4", 0.0, 1e-11), ("f2", 1e-9, 1e-6)])
def test_where_the_digits_of_a_format_end(format: str, least: float, most: float) -> None:
    """The gap is quadratic in what is rounded: with f4 on the wire it is as small as with f8, with
    f2 it ends at about 5e-8 (docs/finishing.md)."""
    cluster = make_virtual(
        ROWS,
        optimizer="anchored-lbfgs",
        scheme="agc:c=3,r=3,cache=sag",
        workers=30,
        rounds=130,
        l2=L2,
        delay="exponential:mean_s=0.5",
        step="auto",
        model="logistic",
        wire={"format": format},
    )
    for slot in range(30):
        cluster.start(f"w{slot}", slot)
    cluster.run()
    gap = (objective(cluster.conductor.model) - BEST) / (FIRST - BEST)
    assert least <= max(gap, 0.0) < most


def rounds(scheme: str, optimizer: str, seed: int = 0) -> tuple[int, float]:
    """Return how many rounds it takes to a gap of 1e-3, and which share a round renews."""
    cluster = make_virtual(
        ROWS,
        optimizer=optimizer,
        scheme=scheme,
        workers=30,
        rounds=200,
        l2=L2,
        seed=seed,
        delay="exponential:mean_s=0.5",
        step="auto",
        model="logistic",
    )
    gaps = Gaps(lambda: cluster.conductor.model)
    cluster.observers.append(gaps)
    for slot in range(30):
        cluster.start(f"w{slot}", slot)
    while not (gaps.all and gaps.all[-1] <= GAP):
        assert cluster.finished is None
        assert cluster.clock.step()
    unit_of = cluster.machine.plan.code.unit_of_arrival
    units = [len({unit_of[arrival.slot] for arrival in r.arrivals}) for r in cluster.records[1:]]
    return len(gaps.all), float(np.mean(units)) / cluster.machine.plan.code.n_units


@pytest.fixture(scope="module")
def exact() -> int:
    return rounds("uncoded", "lbfgs")[0]


@pytest.mark.parametrize(
    "scheme",
    [
        "agc:c=3,r=2,cache=sag",
        "agc:c=3,r=3,cache=sag",
        "agc:c=3,r=5,cache=sag",
        "uncoded:r=3,cache=sag",
        "uncoded:r=8,cache=sag",
    ],
)
def test_predicted_rounds_of_a_method_that_follows_units(scheme: str, exact: int) -> None:
    """Within a third, for 10 units and for 30, from an eighth renewed a round to a half."""
    needed, renewed = rounds(scheme, "anchored-lbfgs")
    assert 0.1 < renewed < 0.5
    predicted = exact * float(followed_rounds(np.array(renewed)))
    assert 0.67 < needed / predicted < 1.5
