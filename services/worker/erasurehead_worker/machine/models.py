"""The models that a worker is sent: whole ones, and what to add to the one before."""

from __future__ import annotations

from erasurehead.arrays import Vector
from erasurehead.wire.messages import Assign, Step
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.base import Packed, VectorFormat
from erasurehead.wire.vectors.f8 import F8


class MisfitError(Exception):
    """A model is no vector of the format that it should have, and why, in words."""


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

    def take(self, step: Step) -> Vector | None:
        """Return a step's model; None if it is to be added to one that is not here.

        Raises
        ------
        MisfitError: it cannot be read.
        """
        packed = step.model
        if self._differences is None:
            return _unpacked(self._format, packed)
        # Whole models travel in a format that differences never have.
        if packed.format == self._format.name:
            model = _unpacked(self._format, packed)
        else:
            change = _unpacked(self._differences, packed)
            if self._held is None or self._round != step.round - 1:
                return None
            model = self._held + change
        self._round, self._held = step.round, model
        return model


def _unpacked(format: VectorFormat, packed: Packed) -> Vector:
    why = format.misfit(packed)
    if why is not None:
        raise MisfitError(why)
    return format.unpack(packed)
