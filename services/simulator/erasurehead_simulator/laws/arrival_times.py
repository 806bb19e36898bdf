"""Expected times of arrivals, for delay models that have closed forms.

Other models register theirs with `orders_under`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

from erasurehead.coding.base import GradientCode
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.exponential import ExponentialDelay
from erasurehead.straggling.none import NoDelay
from erasurehead.straggling.pareto import ParetoDelay
from erasurehead.straggling.shifted_exponential import ShiftedExponentialDelay
from erasurehead.theory import order_statistics
from erasurehead.theory.runtimes import repetition_time_pareto
from erasurehead_simulator.virtual.compute_times import compute_times_s

Orders = Callable[[int, int, int], float]
"""(slots, r, copies) -> E of the r-th of so many minima of so many copies' delays."""


@singledispatch
def orders_under(delays: DelayModel, share: float) -> Orders | None:
    """Return the order statistics of the delays of slots with a share of all tasks each.

    None: no closed form is known.
    """
    return None


@orders_under.register
def _(delays: NoDelay, share: float) -> Orders:
    return lambda k, r, copies: 0.0


@orders_under.register
def _(delays: ExponentialDelay, share: float) -> Orders:
    return lambda k, r, copies: order_statistics.exponential(k, r, delays.mean_s / copies)


@orders_under.register
def _(delays: ShiftedExponentialDelay, share: float) -> Orders:
    def order(k: int, r: int, copies: int) -> float:
        random_s = order_statistics.exponential(k, r, delays.mean_s / copies)
        return share * (delays.shift_s + random_s)

    return order


@orders_under.register
def _(delays: ParetoDelay, share: float) -> Orders:
    scale_s = delays.scale_s * share if delays.by_load else delays.scale_s

    def order(k: int, r: int, copies: int) -> float:
        if copies == 1:
            return order_statistics.pareto(k, r, delays.shape, scale_s)
        return repetition_time_pareto(k * copies, copies, delays.shape, scale_s)

    return order


@dataclass(frozen=True)
class ArrivalTimes:
    """When slots that are alike, with equal loads, may be expected.

    Attributes
    ----------
    n_workers: k.
    compute_s: that each slot computes.
    orders: of the delays.
    """

    n_workers: int
    compute_s: float
    orders: Orders

    @classmethod
    def under(cls, code: GradientCode, delays: DelayModel, pass_s: float) -> ArrivalTimes | None:
        """Return the times for a code of equal loads, None without a closed form."""
        orders = orders_under(delays, float(code.loads[0]) / code.n_tasks)
        if orders is None:
            return None
        return cls(code.n_workers, float(compute_times_s(code, pass_s)[0, 0]), orders)

    def arrival_s(self, r: int) -> float:
        """E of the r-th arrival."""
        return self.orders(self.n_workers, r, 1) + self.compute_s

    def coverage_s(self, size: int) -> float:
        """E of the last group's first arrival, for groups of so many slots."""
        n_groups = self.n_workers // size
        return self.orders(n_groups, n_groups, size) + self.compute_s
