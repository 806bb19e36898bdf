"""Does a run go downhill from one cycle of its units to the next? If not, where to go back to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray

RISE = 0.01
"""Share of the way down so far that a cycle may rise by before steps become shorter."""

LOST = 0.25
"""Share of the way down so far that may be lost before a run goes back."""

LEAST_WAY = 0.05
"""Share of the first loss that counts as the way down, if it is less: a first step may be too
long."""

SHORTER, LONGER = 2.0, 1.5
"""Steps are divided by so much more after a cycle that rises, and by less after one that falls."""

LARGEST_DIVISOR = 64.0


class Retreat:
    """Divides steps, and goes back to the best point, when the loss rises.

    A guard of curvature knows only what units say that are heard. A unit that is heard once in ten
    rounds may find each time that its loss has risen more than others' has fallen. The mean of the
    losses at the units' anchors tells it: once in a *cycle*, when all have been renewed since the
    last, it is compared with what it was. A small rise divides steps; a large one leads back to
    the mean anchor at which it was least, where all units must be heard at once.

    Memory: one vector.

    Parameters
    ----------
    start: where the run begins, shape (n_parameters,); only read.

    Attributes
    ----------
    divisor: of steps, at least 1.
    point: the best.
    """

    def __init__(self, start: FloatArray) -> None:
        self._start = start
        self.point = start.copy()
        self.divisor = 1.0
        self._first = self._least = self._last = np.nan
        self._renewed: set[int] = set()
        self.returns = False
        """The point is asked about; the next round is to have all units."""

    def look(
        self,
        find_loss: Callable[[], float],
        arrived: Collection[int],
        n_heard: int,
        mean: FloatArray,
    ) -> bool:
        """Look at a round that was absorbed; return whether to go back to `point`.

        Parameters
        ----------
        find_loss: returns the mean of the objective at the anchors; asked once a cycle.
        arrived: units that the round has renewed.
        n_heard: how many are heard.
        mean: the mean anchor, shape (n_parameters,).
        """
        if self.returns:
            return self._arrive(find_loss())
        self._renewed.update(arrived)
        if len(self._renewed) < n_heard:
            return False
        self._renewed.clear()
        loss = find_loss()
        if np.isnan(self._first):
            self._first = loss
        if np.isnan(self._least):
            self._least = self._last = loss
            self.point[:] = mean
        way = max(self._first - self._least, LEAST_WAY * abs(self._first))
        if loss > self._least + LOST * way:
            self._shorten()
            self.returns = True
        elif loss > self._last + RISE * way:
            self._shorten()
        else:
            self.divisor = max(1.0, self.divisor / LONGER)
        self._last = loss
        if loss < self._least:
            self._least = loss
            self.point[:] = mean
        return self.returns

    def begin_again(self) -> None:
        """Units hold other rows, of which nothing is remembered."""
        self.others()
        self.returns = False

    def others(self) -> None:
        """Other units are heard than before, whose losses are not to be compared."""
        self._renewed.clear()
        self._least = self._last = np.nan

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; partly the object's own arrays."""
        course = [self.divisor, self._first, self._least, self._last, self.returns]
        return {
            "best": self.point,
            "course": np.array(course),
            "cycle": np.array(sorted(self._renewed), dtype=np.int64),
        }

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned."""
        self.point[:] = state["best"]
        self.divisor, self._first, self._least, self._last, returns = state["course"].tolist()
        self.returns = bool(returns)
        self._renewed = {int(unit) for unit in state["cycle"]}

    def _arrive(self, loss: float) -> bool:
        """Take note of the loss at the point, now that it is known for sure."""
        self._renewed.clear()
        self._least = self._last = loss
        self.returns = loss > self._first
        if self.returns:
            # Units were good at anchors of their own, and are not at the mean of these.
            self.point[:] = self._start
            self._shorten()
        return self.returns

    def _shorten(self) -> None:
        self.divisor = min(SHORTER * self.divisor, LARGEST_DIVISOR)
