"""The models that a worker is sent: whole ones, and what to add to the one before."""

from __future__ import annotations

from erasurehead.arrays import Vector
from erasurehead.wire.messages import Assign, Step
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.f8 import F8


class Models:
    """Reads the models of an assignment's rounds.

    Where models travel as differences, a whole one is in double precision, and any other is added
    to that of the round before, which is kept.

    Parameters
    ----------
    assign: names the formats.

    Raises
    ------
    UsageError: this worker does not have one of them.
    """

    def __init__(self, assign: Assign) -> None:
        named = assign.differences
        self._differences = None if named is None else FORMATS.build(named)
        self._format = FORMATS.build(assign.vector_format) if named is None else F8()
        self._round = 0
        self._held: Vector | None = None
        """The model of that round, if differences are added to it."""

    def misfit(self, step: Step) -> str | None:
        """Return why a step's model cannot be read, in words; None if it can."""
        if self._is_difference(step):
            assert self._differences is not None
            return self._differences.misfit(step.model)
        return self._format.misfit(step.model)

    def lacks(self, step: Step) -> bool:
        """Return whether a step's model is to be added to one that is not here."""
        return self._is_difference(step) and (self._held is None or self._round != step.round - 1)

    def take(self, step: Step) -> Vector:
        """Return a step's model, one that fits and lacks nothing."""
        if self._differences is None:
            return self._format.unpack(step.model)
        if self._is_difference(step):
            assert self._held is not None
            model: Vector = self._held + self._differences.unpack(step.model)
        else:
            model = self._format.unpack(step.model)
        self._round, self._held = step.round, model
        return model

    def _is_difference(self, step: Step) -> bool:
        """Whole models travel in a format that differences never have."""
        return self._differences is not None and step.model.format != self._format.name
