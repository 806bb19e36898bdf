"""Expected time of a round under the papers' delay models.

Model of arXiv 1901.09671, Section 5: one slot needs 1 + Exp(rate) for all n tasks, and the share
c/n of that for c tasks, so times are in units of a full pass. k slots, groups of l = k c / n.
"""

from __future__ import annotations

from collections.abc import Callable

from erasurehead.errors import UsageError
from erasurehead.theory import order_statistics
from erasurehead.theory.loads import harmonic
from erasurehead.theory.moments import covered_probability


def uncoded_time(n: int, rate: float) -> float:
    """Return E T = 1/n + H_n/(rate n): the slowest of n slots with a task each (Lemma 8)."""
    return order_statistics.shifted_exponential(n, n, 1.0 / n, rate)


def exact_time(n: int, c: int, rate: float) -> float:
    """Return E T = c/n + H_{n/c}/(rate n): the slowest of n/c groups' fastest of c, n = k.

    Lemma 8 prints (H_n - H_c) for H_{n/c}, which is up to 20 % too low at n = 30: a group's
    fastest is exponential of rate c times as large, and the slowest of n/c such is wanted.

    Raises
    ------
    UsageError: c does not divide n.
    """
    if n % c:
        raise UsageError(f"{n} slots do not make groups of c={c}; c must divide n")
    return c / n + harmonic(n // c) / (rate * n)


def printed_exact_time(n: int, c: int, rate: float) -> float:
    """Return Lemma 8's printed E T = c/n + (H_n - H_c)/(rate n), for comparison only."""
    return c / n + (harmonic(n) - harmonic(c)) / (rate * n)


def cyclic_time(k: int, s: int, rate: float) -> float:
    """Return E T of a code that needs any k - s arrivals at load s + 1, n = k."""
    return order_statistics.shifted_exponential(k, k - s, (s + 1) / k, rate)


def arrivals_time(n: int, c: int, r: int, rate: float) -> float:
    """Return Lemma 8's bound c/n + (c/(rate n)) (H_n - H_{n-r}) on a round of ErasureHead."""
    return order_statistics.shifted_exponential(n, r, c / n, rate)


def erasurehead_time(
    k: int, group_size: int, r: int, arrival_time: Callable[[int], float]
) -> float:
    """Return E of min(r-th arrival, all groups covered) for exchangeable slots.

    Which slots come first is independent of when, so this is sum_m P(stop at the m-th) E T_(m).

    Parameters
    ----------
    arrival_time: m -> E T_(m:k).
    """
    total, covered_before = 0.0, 0.0
    for m in range(1, r + 1):
        covered = 1.0 if m == r else covered_probability(k, group_size, m)
        if covered > covered_before:  # early arrivals that cannot cover may have no finite mean
            total += (covered - covered_before) * arrival_time(m)
        covered_before = covered
    return total


def repetition_time_pareto(k: int, group_size: int, shape: float, scale_s: float) -> float:
    """Return E T of exact repetition under Pareto times: a group's first is Pareto(a l).

    Replication turns a heavy tail into a light one.
    """
    n_groups = k // group_size
    return order_statistics.pareto(n_groups, n_groups, shape * group_size, scale_s)
