"""Optimisers: where to ask for the gradient next, and what to do with it.

They are arrays of model size and in-place arithmetic: a master may hold only a few copies of a
model. Steps work through the columns in blocks that fit a cache, with one block of scratch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError
from erasurehead.optimizing.steps import Schedule
from erasurehead.registry import Registry

BLOCK_COLUMNS = 1 << 14


class Optimizer(ABC):
    """Minimises f(theta) = mean loss + (l2/2) ||theta||^2 from 0, one gradient a round.

    Parameters
    ----------
    n_columns: size of the model.
    schedule: the step sizes.
    l2: weight of the penalty, at least 0.
    """

    def __init__(self, n_columns: int, schedule: Schedule, l2: float = 0.0) -> None:
        self.n_columns = n_columns
        self.schedule = schedule
        self.l2 = l2
        self._scratch = np.empty(min(n_columns, BLOCK_COLUMNS))

    @property
    @abstractmethod
    def query(self) -> FloatArray:
        """The point to broadcast. The optimiser's own array: valid until the next step."""

    @property
    @abstractmethod
    def model(self) -> FloatArray:
        """The estimate of the minimum. The optimiser's own array: valid until the next step."""

    @abstractmethod
    def step(self, gradient_mean: FloatArray, round_: int) -> float:
        """Take a step and return its size.

        Parameters
        ----------
        gradient_mean: (1/N) sum of row gradients at `query`, without the penalty's; only read.
        round_: from 1, for the schedule.
        """

    @abstractmethod
    def state(self) -> dict[str, FloatArray]:
        """Return what a checkpoint must hold; the optimiser's own arrays."""

    @abstractmethod
    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Go on from `state`, to the last bit as if nothing had happened.

        Raises
        ------
        DataError: it is not a state of this optimiser and model size.
        """

    def _blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Yield blocks of columns, each with scratch space of its length."""
        for lo in range(0, self.n_columns, BLOCK_COLUMNS):
            hi = min(lo + BLOCK_COLUMNS, self.n_columns)
            yield slice(lo, hi), self._scratch[: hi - lo]

    def _vector(self, state: Mapping[str, FloatArray], key: str) -> FloatArray:
        found = state.get(key)
        if found is None or found.shape != (self.n_columns,):
            size = "none" if found is None else f"shape {found.shape}"
            raise DataError(
                f"the checkpoint's '{key}' is {size}, expected shape ({self.n_columns},);"
                " resume with the store and the optimizer it was written by"
            )
        return found


class GradientDescent(Optimizer):
    """theta <- theta - eta_t (g(theta) + l2 theta)."""

    def __init__(self, n_columns: int, schedule: Schedule, l2: float = 0.0) -> None:
        super().__init__(n_columns, schedule, l2)
        self._theta = np.zeros(n_columns)

    @property
    def query(self) -> FloatArray:
        """Theta."""
        return self._theta

    @property
    def model(self) -> FloatArray:
        """Theta."""
        return self._theta

    def step(self, gradient_mean: FloatArray, round_: int) -> float:
        """Move theta against the gradient."""
        eta = self.schedule.step_size(round_)
        for here, scratch in self._blocks():
            _descend(self._theta[here], gradient_mean[here], eta, self.l2, scratch)
        return eta

    def state(self) -> dict[str, FloatArray]:
        """Return theta."""
        return {"theta": self._theta}

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Take theta."""
        self._theta[:] = self._vector(state, "theta")


class Nesterov(Optimizer):
    """Nesterov's accelerated gradient in Tseng's three-sequence form.

    With step i from 0 and w_i = 2/(i+2), beta_0 = u_0 = 0: broadcast
    y_i = (1 - w_i) beta_i + w_i u_i; then beta_{i+1} = y_i - eta (g(y_i) + l2 y_i) and
    u_{i+1} = beta_i + (beta_{i+1} - beta_i) / w_i. The gradient is taken at y; taking it at beta,
    as the research codes of gradient coding do, loses the acceleration.
    (Tseng, "On accelerated proximal gradient methods for convex-concave optimization", 2008.)
    """

    def __init__(self, n_columns: int, schedule: Schedule, l2: float = 0.0) -> None:
        super().__init__(n_columns, schedule, l2)
        self._beta = np.zeros(n_columns)
        self._u = np.zeros(n_columns)
        self._y = np.zeros(n_columns)
        self._steps = 0

    @property
    def query(self) -> FloatArray:
        """The extrapolated point y."""
        return self._y

    @property
    def model(self) -> FloatArray:
        """Beta."""
        return self._beta

    def step(self, gradient_mean: FloatArray, round_: int) -> float:
        """Move beta, u and y."""
        eta = self.schedule.step_size(round_)
        weight = _momentum_weight(self._steps)
        self._steps += 1
        for here, scratch in self._blocks():
            beta, u, y = self._beta[here], self._u[here], self._y[here]
            _descend(y, gradient_mean[here], eta, self.l2, scratch)
            np.subtract(y, beta, out=scratch)
            scratch /= weight
            np.add(beta, scratch, out=u)
            beta[:] = y
            self._look_ahead(here, scratch)
        return eta

    def state(self) -> dict[str, FloatArray]:
        """Return beta, u and the number of steps taken; y follows from them."""
        return {"beta": self._beta, "u": self._u, "steps": np.array([float(self._steps)])}

    def load_state(self, state: Mapping[str, FloatArray]) -> None:
        """Take beta, u and the number of steps."""
        beta, u = self._vector(state, "beta"), self._vector(state, "u")
        if "steps" not in state or state["steps"].shape != (1,):
            raise DataError("the checkpoint's 'steps' is missing; it is damaged, take an older one")
        self._beta[:], self._u[:] = beta, u
        self._steps = int(state["steps"][0])
        for here, scratch in self._blocks():
            self._look_ahead(here, scratch)

    def _look_ahead(self, here: slice, scratch: FloatArray) -> None:
        """Put (1 - w) beta + w u into y, for the step to come."""
        weight = _momentum_weight(self._steps)
        y = self._y[here]
        np.multiply(self._beta[here], 1.0 - weight, out=y)
        np.multiply(self._u[here], weight, out=scratch)
        y += scratch


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer", {"gradient-descent": GradientDescent, "nesterov": Nesterov}
)


def _descend(
    point: FloatArray, gradient: FloatArray, eta: float, l2: float, scratch: FloatArray
) -> None:
    """Replace `point` by point - eta (gradient + l2 point)."""
    np.multiply(gradient, eta, out=scratch)
    if l2:
        point *= 1.0 - eta * l2
    point -= scratch


def _momentum_weight(step: int) -> float:
    return 2.0 / (step + 2.0)
