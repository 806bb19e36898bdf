"""What is added to the mean loss so that models stay small."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.blas import squared_norm

NONE: IntArray = np.empty(0, dtype=np.int64)


class Penalty(ABC):
    """A function h of the parameters; a run minimises f(theta) = mean loss + h(theta).

    A penalty may treat parameters differently, by their position (an intercept that is left
    alone), and need not have a gradient everywhere: methods that descend use `descend`, in which
    such a penalty takes its proximal step. Points and gradients have shape (n_parameters,).
    """

    @property
    def smooth(self) -> bool:
        """Whether h has a gradient everywhere; only methods that are `proximal` take others."""
        return True

    @property
    def quadratic(self) -> bool:
        """Whether the gradient of h is that diagonal (`add_curvature`) times the parameters."""
        return False

    @property
    @abstractmethod
    def curvature(self) -> float:
        """The largest second derivative of h where it is smooth."""

    @abstractmethod
    def add_curvature(self, diagonal: FloatArray) -> None:
        """Add what h adds to each diagonal entry of a Hessian, shape (n_parameters,), in place."""

    @abstractmethod
    def along(self, way: FloatArray, here: slice | None = None) -> float:
        """Return way·H way for the Hessian H of h where it is smooth.

        `way` is of all parameters, or of those of a part, with both ends and no step, on which the
        others are 0.
        """

    @abstractmethod
    def value(self, theta: FloatArray) -> float:
        """Return h(theta)."""

    def add_to(self, gradient: FloatArray, theta: FloatArray) -> None:
        """Add the gradient of h at `theta` to a gradient of all parameters, in place.

        For methods that need the gradient of f as a whole.
        """
        whole = np.empty(len(theta))
        self.slope(theta, slice(0, len(theta)), whole)
        gradient += whole

    @abstractmethod
    def slope(self, theta: FloatArray, here: slice, out: FloatArray) -> None:
        """Put a part of the gradient of h at `theta` into `out`, of the part's length.

        What of h has no gradient everywhere is left to `shrink`. `here` is the part, with both
        ends and no step.
        """

    @abstractmethod
    def descend(
        self,
        point: FloatArray,
        gradient: FloatArray,
        eta: float,
        here: slice,
        scratch: FloatArray,
    ) -> None:
        """Take a (proximal) gradient step of size eta on f, in place and on a part of the point.

        Without a part of h that has no gradient, that is
        point <- point - eta (gradient + grad h(point)).

        Parameters
        ----------
        point: all parameters; those outside `here` stay.
        gradient: of the mean loss at `point`; only read.
        here: the part, with both ends and no step.
        scratch: of the part's length; overwritten.
        """

    def shrink(  # noqa: B027 (most penalties leave nothing to do)
        self, point: FloatArray, sizes: FloatArray | float, here: slice
    ) -> None:
        """Take the proximal step of what of h has no gradient, in place and on a part of the point.

        That is the minimum over x of sum_j (x_j - point_j)^2 / (2 sizes_j) + that part of h(x).

        Parameters
        ----------
        point: all parameters; those outside `here` stay.
        sizes: of the step, at least 0: a number, or one for each parameter of the part.
        here: the part, with both ends and no step.
        """


class L2(Penalty):
    """h(theta) = (weight/2) ||theta||^2, also known as ridge.

    Parameters
    ----------
    weight: at least 0.
    spared: parameters that the norm leaves out, ascending.
    """

    def __init__(self, weight: float, spared: IntArray = NONE) -> None:
        self.weight = weight
        self._spared = spared

    @property
    def quadratic(self) -> bool:
        """It is."""
        return True

    @property
    def curvature(self) -> float:
        """The weight."""
        return self.weight

    def add_curvature(self, diagonal: FloatArray) -> None:
        """Add the weight to all entries but those that are spared."""
        spared = diagonal[self._spared]
        diagonal += self.weight
        diagonal[self._spared] = spared

    def along(self, way: FloatArray, here: slice | None = None) -> float:
        """Return weight * ||way||^2."""
        if not self.weight:
            return 0.0
        spared = self._spared if here is None else self._spared_in(here)
        if len(spared):
            way = way.copy()
            way[spared] = 0.0
        return self.weight * squared_norm(way)

    def value(self, theta: FloatArray) -> float:
        """Return (weight/2) ||theta||^2."""
        return 0.5 * self.along(theta)

    def slope(self, theta: FloatArray, here: slice, out: FloatArray) -> None:
        """Put weight * theta there."""
        np.multiply(theta[here], self.weight, out=out)
        if len(self._spared):
            out[self._spared_in(here)] = 0.0

    def descend(
        self,
        point: FloatArray,
        gradient: FloatArray,
        eta: float,
        here: slice,
        scratch: FloatArray,
    ) -> None:
        """Shrink the point by 1 - eta * weight, then go against the gradient."""
        np.multiply(gradient[here], eta, out=scratch)
        part = point[here]
        if self.weight:
            spared = self._spared_in(here)
            as_it_was = part[spared]
            part *= 1.0 - eta * self.weight
            part[spared] = as_it_was
        part -= scratch

    def _spared_in(self, here: slice) -> IntArray:
        """Return the places in a part of the parameters that are spared."""
        if not len(self._spared):
            return self._spared
        first, end = np.searchsorted(self._spared, (here.start, here.stop))
        places: IntArray = self._spared[first:end] - here.start
        return places
