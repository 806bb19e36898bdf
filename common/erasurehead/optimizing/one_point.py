"""Methods that ask for the gradient where their model is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.optimizing.base import Method, Problem


class OnePoint(Method):
    """A method whose query and model are one vector, theta, which begins at the start.

    Others broadcast a point besides their model, such as one that momentum has carried ahead.
    A method with more state than theta adds to `state` and `load_state`.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._theta = problem.start.copy()

    @property
    def query(self) -> FloatArray:
        """Theta, shape (n_parameters,)."""
        return self._theta

    @property
    def model(self) -> FloatArray:
        """Theta, shape (n_parameters,)."""
        return self._theta

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold, theta above all; the method's own arrays."""
        return {"theta": self._theta}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from `state`.

        Raises
        ------
        DataError: it is not a state of this method and model size.
        """
        self._theta[:] = self._vector(state, "theta")
