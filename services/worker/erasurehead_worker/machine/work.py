"""The round at hand: its model, its delay, and one part of the result after another. No I/O."""

from __future__ import annotations

import math

import numpy as np

from erasurehead.arrays import Vector
from erasurehead.straggling import DELAYS
from erasurehead.wire.messages import Assign, Result, Step
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.base import ROUNDING, Packer
from erasurehead_worker.machine.actions import Compute
from erasurehead_worker.machine.events import PartDone
from erasurehead_worker.machine.models import Models


class Work:
    """What a worker does under one assignment, round by round.

    Parameters
    ----------
    assign: its slot's share of the code.

    Raises
    ------
    UsageError: a delay model or a vector format of it is not known here.
    """

    def __init__(self, assign: Assign) -> None:
        self.round = 0
        """The newest round that was begun."""
        self.until = math.inf
        """When the delay of the part at hand is over, if it is waited out."""
        self.at_hand = False
        """A round is being worked on."""
        self.models = Models(assign)
        self._assign = assign
        self._delays = DELAYS.build(assign.delay, assign.n_slots, assign.delay_seed)
        self._delay_shares: list[float] = assign.delay_shares.tolist()
        format = FORMATS.build(assign.vector_format)
        rng = np.random.default_rng((assign.delay_seed, ROUNDING, assign.slot))
        parts, vectors, _ = assign.coefficients.shape
        self._packers: list[list[Packer]] = [
            [format.packer(rng) for _ in range(vectors)] for _ in range(parts)
        ]
        """One for each vector of each part of a result."""
        self._model: Vector | None = None
        self._part = 0
        self._delay_s = 0.0
        """Of the round."""
        self._part_delay_s = 0.0

    def wants(self, step: Step) -> bool:
        """Return whether a round is new, or comes again because its result was lost on the way."""
        return step.round > self.round or (step.round == self.round and not self.at_hand)

    def begin(self, round_: int, model: Vector, now: float) -> Compute | None:
        """Begin a round; return what to compute at once, None if a delay comes first."""
        self.round, self.at_hand = round_, True
        self._model = model
        assign = self._assign
        self._delay_s = self._delays.delay_s(round_, assign.slot, assign.load_share)
        return self._begin_part(0, now)

    def compute(self) -> Compute:
        """The delay is over: return what to compute."""
        assert self._model is not None
        self.until = math.inf
        return Compute(self.round, self._part, self._model)

    def awaits(self, done: PartDone) -> bool:
        """Return whether this is the part at hand."""
        return self.at_hand and done.round == self.round and done.part == self._part

    def result(self, done: PartDone) -> Result:
        """Return the message of the part at hand; after the last one the round is done."""
        if done.part + 1 == len(self._packers):
            self.at_hand = False
        assign, packers = self._assign, self._packers[done.part]
        return Result(
            epoch=assign.epoch,
            round=done.round,
            slot=assign.slot,
            part=done.part,
            vectors=tuple([p.pack(v) for p, v in zip(packers, done.values, strict=True)]),
            loss=done.loss,
            compute_s=done.compute_s,
            delay_s=self._part_delay_s,
        )

    def go_on(self, now: float) -> Compute | None:
        """Begin the next part; return what to compute at once, None if a delay comes first."""
        return self._begin_part(self._part + 1, now)

    def drop(self) -> None:
        """Forget the round at hand."""
        self.at_hand = False
        self.until = math.inf

    def _begin_part(self, part: int, now: float) -> Compute | None:
        """Wait out the part's share of the injected delay first, if it has one."""
        self._part = part
        self._part_delay_s = self._delay_s * self._delay_shares[part]
        if self._part_delay_s > 0:
            self.until = now + self._part_delay_s
            return None
        return self.compute()
