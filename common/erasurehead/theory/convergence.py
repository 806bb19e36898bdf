"""How far gradient descent with decoded gradients gets: the papers' bounds.

f is beta-smooth and mu-PL, the mean of n task functions with gradients of norm at most sigma;
Delta_T = E f(x_T) - f*. p, q as in `erasurehead.theory.moments`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.theory.moments import (
    either_uncovered_probability,
    group_size,
    uncovered_probability,
)

LEAST_RENEWED = 1.5
"""Remembered values that must be renewed in a round on average. One alone moves the model until it
is heard again, and steps of 1/curvature diverge where its rows differ from the others'."""


@dataclass(frozen=True)
class Bound:
    """Delta_T <= contraction^T Delta_0 + floor, for the given step size."""

    step: float
    contraction: float
    floor: float

    def after(self, rounds: int, start: float) -> float:
        """Return the bound on Delta_T for Delta_0 = `start`."""
        return float(self.contraction**rounds * start + self.floor)


def repetition_bounds(
    beta: float, mu: float, sigma: float, n_workers: int, n_tasks: int, c: int, r: int
) -> tuple[Bound, Bound]:
    """Return Theorem 1 of arXiv 1901.09671 for unscaled first-copy decoding.

    Step 1/beta: contraction 1 - mu/beta, floor sigma^2/(2(1-p)mu) (p + (q-p)c/((1-p)n)).
    Step (1-p)/beta: contraction 1 - (1-p)mu/beta, floor (q-p) c sigma^2/(2(1-p)mu n).

    Raises
    ------
    UsageError: there are no groups of k c / n slots.
    """
    size = group_size(n_workers, n_tasks, c)
    p = float(uncovered_probability(n_workers, size, r))
    q = either_uncovered_probability(n_workers, size, r)
    kept = 1.0 - p
    spread = (q - p) * c / n_tasks
    long = sigma**2 / (2.0 * kept * mu) * (p + spread / kept)
    short = spread * sigma**2 / (2.0 * kept * mu)
    return (
        Bound(1.0 / beta, 1.0 - mu / beta, long),
        Bound(kept / beta, 1.0 - kept * mu / beta, short),
    )


def simple_bounds(
    beta: float, mu: float, sigma: float, n_tasks: int, c: int, r: int
) -> tuple[Bound, Bound]:
    """Return Theorem 2 of arXiv 1901.09671, which needs c >= n ln 2 / r; e = exp(-c r / n).

    Step 1/beta: floor e sigma^2/mu + 4 c e sigma^2/(mu n). Step (1-p)/beta: contraction
    1 - (1-e)mu/beta, floor 2 c e sigma^2/(mu n); its step is given for the bound on p.
    """
    e = math.exp(-c * r / n_tasks)
    noise = c * e * sigma**2 / (mu * n_tasks)
    return (
        Bound(1.0 / beta, 1.0 - mu / beta, e * sigma**2 / mu + 4.0 * noise),
        Bound((1.0 - e) / beta, 1.0 - (1.0 - e) * mu / beta, 2.0 * noise),
    )


@dataclass(frozen=True)
class TimesToTarget:
    """Upper bounds on the expected time to reach an error, in full passes over the data."""

    uncoded: float
    exact: float
    approximate: float


def times_to_target(
    kappa: float, start: float, target: float, n: int, c: int, delta: float
) -> TimesToTarget:
    """Return Theorem 3 of arXiv 1901.09671: rate 1/c, r = delta n < n, kappa = mu/beta.

    Valid for targets down to 3 c exp(-c r/n) sigma^2/(mu n).

    Raises
    ------
    UsageError: kappa or delta outside (0, 1), or a target that is not between 0 and `start`.
    """
    if not (0 < kappa < 1 and 0 < delta < 1 and 0 < target < start):
        raise UsageError(
            f"kappa={kappa:g}, delta={delta:g} and a target of {target:g} from {start:g} give no"
            " time; kappa and delta must be in (0, 1) and the target between 0 and the start"
        )
    exact_rounds = math.log(start / target) / math.log(1.0 / (1.0 - kappa))
    eta = 1.0 - math.exp(-c * delta)
    rounds = math.log(3.0 * start / target) / math.log(1.0 / (1.0 - eta * kappa))
    return TimesToTarget(
        exact_rounds * (c * math.log(n) + c + 1) / n,
        exact_rounds * (c * math.log(n / c) + c + 1) / n,
        rounds * (c**2 * math.log(1.0 / (1.0 - delta)) + c**2 + c) / n,
    )


def svrg_contraction(
    mu: float, smoothness: float, step: float, rounds: int, variance: float
) -> float:
    """Return rho = [1/(mu eta m) + 2 eta L V]/[1 - eta L (1 + 2V)], the contraction an epoch.

    SVRG with a decoder whose error on task vectors D_j is at most V mean ||D_j||^2; V -> 0 is
    gradient descent. For repetition V <= (q-p)c/((1-p)^2 n). Infinite where the step is too long
    for any guarantee, eta L (1 + 2V) >= 1.
    """
    noise = step * smoothness * variance
    if step * smoothness + 2.0 * noise >= 1.0:
        return math.inf
    return (1.0 / (mu * step * rounds) + 2.0 * noise) / (1.0 - step * smoothness - 2.0 * noise)


def fixed_weights_bound(
    smoothness: float, strong_convexity: float, step: float, mean_square_error: float
) -> Bound:
    """Return the bound for unbiased gradients whose mean squared error is at most a constant.

    Step at most 1/L: contraction 1 - step lambda, floor step L E/(2 lambda); with E = n^2 C/Delta
    the noise floor of arXiv 2510.22539's codes.
    """
    floor = step * smoothness * mean_square_error / (2.0 * strong_convexity)
    return Bound(step, 1.0 - step * strong_convexity, floor)


def cached_rounds(renewed: FloatArray, contraction: float) -> FloatArray:
    """Return how many times as many rounds cached decoding needs as exact gradients do.

    A share `renewed` = phi of what is remembered is renewed in a round. On a quadratic, in a
    direction of curvature lambda and with step eta, the means of the model x and of the remembered
    sum h follow h <- (1-phi) h + phi lambda x, x <- x - eta h. The eigenvalues solve
    z^2 - (2 - phi - eta lambda phi) z + 1 - phi = 0: in steep directions |z|^2 = 1 - phi, in flat
    ones z is 1 - eta lambda as for exact gradients. So the mean gap falls at the lesser of the
    rates -ln(1-phi) and `contraction`: staleness costs nothing until phi is as small as what an
    exact round achieves. The corner is rounded off by fourth powers. The scatter about the means is
    left out, which matters where blocks of rows differ much and few are renewed: in
    benchmarks/bounds.py it costs half as much again at phi = 0.2 and 2.5 times as much at 0.1.

    Parameters
    ----------
    renewed: phi, in [0, 1], any shape.
    contraction: -ln of what an exact round leaves of the gap to the minimum.
    """
    with np.errstate(divide="ignore"):
        own = -np.log1p(-np.clip(renewed, 0.0, 1.0))
        times: FloatArray = (1.0 + (contraction / own) ** 4) ** 0.25
    return times


STALENESS = 0.8
"""What `followed_rounds` costs, fitted to simulations."""


def followed_rounds(renewed: FloatArray) -> FloatArray:
    """Return how many times as many rounds anchored L-BFGS needs as with exact gradients.

    That is 1 + 0.8 (1/phi - 1) where a share `renewed` = phi of what is remembered is renewed in a
    round: each unit is to be heard nearly as often as there are exact rounds, whatever the code and
    the number of units. Unlike with steps of gradient descent (`cached_rounds`) staleness is never
    free, since a step goes most of the way that is left. On the sets of the study it costs less
    (0.3 to 0.8 in place of 0.8), and so does a loose target.

    Parameters
    ----------
    renewed: phi, in [0, 1], any shape.
    """
    with np.errstate(divide="ignore"):
        times: FloatArray = 1.0 + STALENESS * (1.0 / np.clip(renewed, 0.0, 1.0) - 1.0)
    return times
