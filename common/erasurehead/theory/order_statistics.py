"""Expected times of the r-th of k arrivals, and of the first of a group."""

from __future__ import annotations

import math

from erasurehead.errors import UsageError
from erasurehead.theory.loads import harmonic


def exponential(k: int, r: int, mean_s: float) -> float:
    """Return E of the r-th smallest of k exponential times: mean (H_k - H_{k-r}), in seconds."""
    _check(k, r)
    return mean_s * (harmonic(k) - harmonic(k - r))


def shifted_exponential(k: int, r: int, load_share: float, rate: float) -> float:
    """Return E T_(r:k) for T = (c/n)(1 + Exp(rate)), in units of one full pass over the data.

    arXiv 1901.09671, Section 5: a slot with the share c/n of the tasks takes that share of the
    time, and time 1 is the least that all tasks take one slot.
    """
    return load_share * (1.0 + exponential(k, r, 1.0 / rate))


def pareto(k: int, r: int, shape: float, scale_s: float) -> float:
    """Return E T_(r:k) of Pareto times, x_m Gamma(k+1) Gamma(k-r+1-1/a) /
    (Gamma(k-r+1) Gamma(k+1-1/a)), in seconds; infinite where k - r + 1 <= 1/a."""
    _check(k, r)
    if k - r + 1 <= 1.0 / shape:
        return math.inf
    return scale_s * math.exp(
        math.lgamma(k + 1)
        + math.lgamma(k - r + 1 - 1.0 / shape)
        - math.lgamma(k - r + 1)
        - math.lgamma(k + 1 - 1.0 / shape)
    )


def _check(k: int, r: int) -> None:
    if not 1 <= r <= k:
        raise UsageError(f"there is no {r}-th of {k} arrivals; r must be 1 to {k}")
