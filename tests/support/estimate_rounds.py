"""Rounds of gradient estimates without master or workers, on a small problem."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding.base import Decoding
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.schemes.session import Session

N_TASKS, ROWS, COLUMNS = 30, 10, 20


class LeastSquares:
    """sum_j ||X_j x - y_j||^2 / 2 over 30 tasks with a Hessian of condition number 10."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        U, _, Vt = np.linalg.svd(rng.normal(size=(N_TASKS * ROWS, COLUMNS)), full_matrices=False)
        spectrum = np.sqrt(np.linspace(1.0, 10.0, COLUMNS))
        self.X = ((U * spectrum) @ Vt).reshape(N_TASKS, ROWS, COLUMNS)
        self.y = self.X @ rng.normal(size=COLUMNS) + 0.3 * rng.normal(size=(N_TASKS, ROWS))
        flat_X, flat_y = self.X.reshape(-1, COLUMNS), self.y.ravel()
        self.best = np.linalg.lstsq(flat_X, flat_y, rcond=None)[0]
        self.beta = 10.0

    def gradients(self, x: FloatArray) -> FloatArray:
        """The gradient of each task, shape (n, columns)."""
        residual = self.X @ x - self.y
        return np.asarray(np.einsum("jrc,jr->jc", self.X, residual))

    def losses(self, x: FloatArray) -> FloatArray:
        """The loss of each task, shape (n,)."""
        return np.asarray(0.5 * np.sum((self.X @ x - self.y) ** 2, axis=1))

    def gap(self, x: FloatArray) -> float:
        """f(x) - f*, without cancellation."""
        return float(0.5 * np.sum((self.X.reshape(-1, COLUMNS) @ (x - self.best)) ** 2))


def decoding(scale: float = 1.0, held: dict[int, float] | None = None) -> Decoding:
    """Return an exact decoding of a repetition code, or what an estimate of one takes for it."""
    return Decoding(scale, np.ones(1), 0.0, 1.0, 0, held or {})


def uncoded_estimate(name: str, k: int = 3) -> GradientEstimate:
    """Return an estimate of four parameters for k slots with a task each."""
    code = CODES.build("uncoded", k, None, np.random.default_rng(0))
    return ESTIMATES.build(name, code, 4, False)


def step(estimate: GradientEstimate, decoding: Decoding) -> tuple[FloatArray, float]:
    """Close a round whose estimate is used; return the estimated sums of gradients and losses."""
    found = estimate.finish(decoding)
    estimate.absorb()
    return found


def play_round(
    session: Session, estimate: GradientEstimate, order: list[int], g: FloatArray, f: FloatArray
) -> tuple[FloatArray, float, list[int]]:
    """One round in which slots answer in `order` until the stop rule is content."""
    code = session.decoder.code
    A = code.matrix.toarray()
    session.decoder.begin()
    estimate.begin()
    arrived: list[int] = []

    class View:
        decoder = session.decoder
        n_arrivals = code.n_arrivals
        elapsed_s = 0.0
        n_arrived = 0

    view = View()
    for slot in order:
        weight = session.decoder.arrive(slot)
        estimate.take(CodedVector(slot, None, A[slot] @ g, float(A[slot] @ f)), weight)
        arrived.append(slot)
        view.n_arrived = len(arrived)
        if session.stop.judge(view):
            break
    session.stop.observe([(slot, 0.0) for slot in arrived], 0.0)
    gradient, loss = step(estimate, session.decoder.finish())
    return gradient, loss, arrived
