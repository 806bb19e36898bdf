"""What a cached estimate remembers from round to round: the last vector of each unit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray, IntArray, Vector
from erasurehead.coding.base import GradientCode
from erasurehead.errors import DataError
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.sums import Accumulator, JointSums, Share
from erasurehead.estimating.units import Units
from erasurehead.parts import InParts, Work

NEVER = -1

SILENCE = 3.0
"""Times as many arrivals as there are units, by which one that is late by chance has been heard."""


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """The last vector of a unit: values on a support, which has no parameters before the first.

    `round` is the one whose model the vector belongs to, -1 before the first; `loss` belongs to
    the last round in which the unit was in time.
    """

    support: IntArray | None
    values: Vector
    loss: float
    round: int


NOTHING = Remembered(np.zeros(0, dtype=np.int64), np.zeros(0), 0.0, NEVER)


class Memory:
    """One vector h_u for each unit u, and their sum with the weights c_u.

    A round: `begin`, `arrive` for each vector, `close`, the work of `renewal`. Then an estimate has
    the old sum in `total`, the new one in `renewed`, and of each unit that arrived what is known of
    it and what is fresh. `absorb` makes the new the old; a round that is not absorbed leaves what
    is remembered as it was. `late` may come at any time but between `close` and `absorb`, and what
    it takes is remembered whatever becomes of the round; `join` before `close`.

    Vectors are kept by reference, and read as little as can be. On arrival, c y is added to a sum
    and h is left alone. At the end the new sum of what is remembered is

        sum_u c h_u + sum_arrived c (y - h)     or     sum_arrived c y + sum_missing c h,

    whichever reads fewer values. Where it is clear that the memory will be summed, h is subtracted
    on arrival, too, as long as no more has arrived than is missing: then nothing is left to do at
    the end. Besides a vector for each unit there are two of all parameters.

    Parameters
    ----------
    code: see `Units`.
    n_parameters: length of a gradient.

    Attributes
    ----------
    round: how many rounds have begun.
    known: what is remembered of each unit.
    fresh: of each unit that arrived in this round, its first vector.
    sums: the round will end with the new sum of what is remembered; set between rounds.
    joined: which of them are of an earlier round, and of how many rounds ago.
    total_loss: sum_u c_u of the remembered losses.

    Raises
    ------
    UsageError: the code's units do not add up to the full gradient.
    """

    def __init__(self, code: GradientCode, n_parameters: int) -> None:
        self.units = Units(code)
        self.n_parameters = n_parameters
        self.round = 0
        self.known = [NOTHING] * len(self.units)
        self.fresh: dict[int, CodedVector] = {}
        self.joined: dict[int, int] = {}
        self.sums = False
        self._replaced: set[int] = set()
        """Units whose known vectors were subtracted from the sum of those that arrived."""
        self.total_loss = 0.0
        self._total = Accumulator(n_parameters)
        self._arrived = Accumulator(n_parameters)
        self._joint = JointSums()
        self._is_open = False

    @property
    def total(self) -> FloatArray:
        """sum_u c_u h_u, shape (n_parameters,); the memory's own array."""
        return self._total.sum

    @property
    def arrived(self) -> FloatArray:
        """sum_u c_u y_u over the units that arrived, shape (n_parameters,).

        From `close` until the work of `renewal`.

        Not where the memory `sums`.
        """
        return self._arrived.sum

    @property
    def renewed(self) -> FloatArray:
        """What `total` is if the round is absorbed, once the work of `renewal` is done, shape
        (n_parameters,)."""
        return self._arrived.sum

    @property
    def renewed_loss(self) -> float:
        """What `total_loss` is if the round is absorbed."""
        loss = self.total_loss
        for unit, vector in self.fresh.items():
            loss += self.units.weights[unit] * (vector.loss - self.known[unit].loss)
        return loss

    @property
    def n_heard(self) -> int:
        """Units that arrived in this round or any before."""
        return sum(u.round != NEVER or i in self.fresh for i, u in enumerate(self.known))

    def stand_ins(self) -> list[tuple[CodedVector | Remembered, float]]:
        """Return what is to be added to `renewed`, with weights, for units that are silent.

        These are the ones never heard although as much as `SILENCE` says has arrived. In a code
        without groups a unit has no other that sends the same. But the heard ones may hold the full
        gradient with other weights, if the code tolerates that many stragglers.
        """
        heard = frozenset(self.heard) | self.fresh.keys()
        early = self.round * len(self.fresh) < SILENCE * self.units.n_held
        if self.units.are_groups or early or len(heard) == self.units.n_held:
            return []
        more = self.units.weights_among(heard) - np.array(self.units.weights)
        return [(self.fresh.get(u, self.known[u]), float(more[u])) for u in sorted(heard)]

    @property
    def n_told(self) -> int:
        """Units of which a loss is known: those that were heard, forgotten ones too."""
        known = enumerate(self.known)
        return sum(u.round != NEVER or u.loss != 0.0 or i in self.fresh for i, u in known)

    @property
    def ages(self) -> list[int | None]:
        """How many rounds before this one each unit's vector was asked for; None: it has none."""
        return [None if unit.round == NEVER else self.round - unit.round for unit in self.known]

    @property
    def heard(self) -> list[int]:
        """The units of which something is remembered."""
        return [unit for unit, known in enumerate(self.known) if known.round != NEVER]

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self.round += 1
        self._is_open = True
        self._arrived.clear()
        self._joint.drop()
        self.fresh = {}
        self.joined = {}
        self._replaced = set()

    def arrive(self, vector: CodedVector, in_parts: InParts, shares: Sequence[Share] = ()) -> None:
        """Take a vector, unless its unit has arrived in this round.

        `shares` are other sums to which it is added at the same time.
        """
        unit = self.units.of_symbol[vector.symbol]
        if unit in self.fresh:
            return
        self.fresh[unit] = vector
        own, known = (self._arrived, self.units.weights[unit]), self.known[unit]
        replaces = self.sums and known.round != NEVER and not self._by_size()[0]
        scattered = vector.support is not None and vector.support is known.support
        if replaces and scattered and not shares:
            # Adding to scattered parameters costs more than subtracting first.
            change = np.subtract(vector.values, known.values, dtype=np.float64)
            self._joint.add(vector.support, change, [own])
            self._replaced.add(unit)
        else:
            self._joint.add(vector.support, vector.values, [own, *shares])
            if replaces:
                self._replace(unit)
        if self._joint.is_full:
            self._joint.flush(in_parts)

    def join(self, vector: CodedVector, age: int, in_parts: InParts) -> None:
        """Take a vector for the round `age` rounds ago as if it had come in this one.

        Not if its unit has arrived in this round, or what is known of it is as new.
        """
        unit = self.units.of_symbol[vector.symbol]
        if unit not in self.fresh and self.round - age > self.known[unit].round:
            self.arrive(vector, in_parts)
            self.joined[unit] = age

    def late(self, vector: CodedVector, age: int) -> Remembered | None:
        """Take a vector for the round `age` rounds ago, if it is newer than what is known.

        Its loss is not taken.

        Returns
        -------
        What it replaces; None if it is not taken.
        """
        unit = self.units.of_symbol[vector.symbol]
        old, round_ = self.known[unit], self.round - age
        if unit in self.fresh or round_ <= old.round:
            return None
        weight = self.units.weights[unit]
        self._total.add(vector.support, vector.values, weight)
        self._total.add(old.support, old.values, -weight)
        self.known[unit] = Remembered(vector.support, vector.values, old.loss, round_)
        return old

    def forget(self, unit: int) -> None:
        """Forget a unit's vector, between two rounds, as if it had never been heard.

        Its loss stays until there is another: the sum of losses has no other guess of it.
        """
        old = self.known[unit]
        self._total.add(old.support, old.values, -self.units.weights[unit])
        self.known[unit] = replace(NOTHING, loss=old.loss)

    def settle(self, in_parts: InParts) -> None:
        """Add up what waits to be added up, while results are awaited; no bit depends on it."""
        self._joint.flush(in_parts)

    @property
    def is_settled(self) -> bool:
        """Whether nothing waits."""
        return self._joint.is_empty

    def close(self, in_parts: InParts) -> None:
        """End the round's arrivals."""
        self._is_open = False
        self._joint.flush(in_parts)

    def renewal(self) -> Work:
        """Return the work that forms `renewed`, in parts that other work may go on with.

        To be called and done once in a round, after `close`.
        """
        afresh, units = self._fewer()
        dense = []
        for unit in units:
            known, weight = self.known[unit], self.units.weights[unit]
            weight = weight if afresh else -weight
            if known.support is None:
                dense.append((known.values, weight))
            else:
                self._arrived.add(known.support, known.values, weight)
        new, total, renewed = self._arrived, self._total.sum, self._arrived.sum

        def renew(part: slice) -> None:
            for values, weight in dense:
                new.add_part(values, weight, part)
            if not afresh:
                here = renewed[part]
                here += total[part]

        return renew

    def absorb(self) -> None:
        """Remember what arrived in the round, whose renewal is done."""
        self.total_loss = self.renewed_loss
        for unit, vector in self.fresh.items():
            round_ = self.round - self.joined.get(unit, 0)
            self.known[unit] = Remembered(vector.support, vector.values, vector.loss, round_)
        # What was the total is cleared when the next round begins.
        self._total, self._arrived = self._arrived, self._total

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; partly the memory's own arrays.

        A round that is open is not part of it: nothing is remembered before a round is over.
        """
        state: dict[str, npt.NDArray[Any]] = {
            "round": np.array(self.round - self._is_open),
            "total": self._total.sum,
            "total_loss": np.array(self.total_loss),
            "rounds": np.array([unit.round for unit in self.known]),
            "losses": np.array([unit.loss for unit in self.known]),
        }
        for index, unit in enumerate(self.known):
            if unit.round != NEVER:
                state[f"values_{index}"] = unit.values
                if unit.support is not None:
                    state[f"support_{index}"] = unit.support
        return state

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned.

        Raises
        ------
        DataError: it is not the state of a memory of this size.
        """
        sizes = (len(self.units), self._total.sum.shape)
        found = (len(state.get("rounds", ())), state.get("total", np.zeros(0)).shape)
        if sizes != found:
            raise DataError(
                f"the checkpoint's cached gradients ({found[0]} units of {found[1]} parameters) do"
                f" not fit this run ({sizes[0]} of {sizes[1]}); resume with the scheme it was"
                " written with"
            )
        self.round = int(state["round"])
        self._total.sum[:] = state["total"]
        self.total_loss = float(state["total_loss"])
        for index, (round_, loss) in enumerate(zip(state["rounds"], state["losses"], strict=True)):
            if round_ == NEVER:
                self.known[index] = replace(NOTHING, loss=float(loss))
            else:
                values, support = state[f"values_{index}"].copy(), state.get(f"support_{index}")
                self.known[index] = Remembered(support, values, float(loss), int(round_))

    def _fewer(self) -> tuple[bool, list[int]]:
        """Return the units of the smaller part of what is known, and whether it is the missing.

        Those that were subtracted count as missing: they would have to be added again.
        """
        return self._by_size(self._replaced)

    def _by_size(self, replaced: Collection[int] = ()) -> tuple[bool, list[int]]:
        parts: tuple[list[int], list[int]] = ([], [])
        sizes = [0, 0]
        for index, unit in enumerate(self.known):
            if unit.round != NEVER:
                missing = index not in self.fresh or index in replaced
                parts[missing].append(index)
                sizes[missing] += len(unit.values)
        afresh = sizes[1] <= sizes[0]
        return afresh, parts[afresh]

    def _replace(self, unit: int) -> None:
        """Subtract what is known of a unit that has arrived."""
        known = self.known[unit]
        self._joint.add(known.support, known.values, [(self._arrived, -self.units.weights[unit])])
        self._replaced.add(unit)
