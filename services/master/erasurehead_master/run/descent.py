"""The arithmetic of a run: folding arrivals, decoding, stepping. No I/O."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.blas import squared_norm
from erasurehead.decoding.base import Decoding
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.memory import Memory, Remembered
from erasurehead.optimizing.anchors import Anchors, Broadcasts
from erasurehead.optimizing.base import Method, RoundKind
from erasurehead.optimizing.choosing import Chosen
from erasurehead.optimizing.finding import Finding, Renewal, UnitGradient
from erasurehead.optimizing.steps import StepSize
from erasurehead.parts import InParts, at_once
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.machine.vetting import DIVERGED_ABOVE
from erasurehead_master.run.missing import Missing
from erasurehead_master.run.round_kinds import kind_of_rounds
from erasurehead_master.run.told import Told

UNNAMED = Chosen("unnamed")


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What one step did.

    Attributes
    ----------
    diverged: why no step was taken.
    decrease: how far the objective is above its minimum, as the method predicts it; None: it
        cannot, or it knows nothing of rows that may yet be heard of.
    given_up: the slots of each unit that is left out from now on: it was waited for, and none of
        them can send it.
    rejected: the method did not trust the round.
    slope: norm of the objective's gradient, penalty included; NaN: nobody asked for it.
    """

    gradient_norm: float
    step_size: float
    train_loss: float
    diverged: str | None = None
    decrease: float | None = None
    rejected: bool = False
    slope: float = math.nan
    given_up: Sequence[frozenset[int]] = ()


def _kind_of_rounds(plan: RunPlan, estimate: GradientEstimate) -> RoundKind:
    return kind_of_rounds(plan.coding, estimate, whole=plan.whole)


class Descent:
    """How the model of one run moves: gradient estimate, method and step size.

    A method that follows units is told of them what the estimate's memory has; the points at which
    that was taken are kept here. A late result joins the next step then, at the point that was
    broadcast in its own round, unless its unit has arrived in time or that was too long ago.

    Memory with `anchored-lbfgs`, in vectors of all parameters: 11 of the method, 2 m + 7 of its m
    pairs (in single precision, as for large models, half as much), a gradient and an anchor of each
    unit, on the columns of its rows also the unit's curvature, twice (once as precise as pairs), 3
    that were sent in the last rounds, and 3 of the estimate. While a round is open there is one
    more for each anchor, as precise as pairs.

    Parameters
    ----------
    method: holds the model, and knows the penalty.
    size: how far the method steps.
    estimate: applies the decoder's weights to coded gradients.
    total_weight: what the training rows count for together; the objective is the sum of their
        losses over that, plus the penalty.
    in_parts: how estimates work on long sums.
    as_received: returns a copy of a point as it is after its way to a worker; None: that depends on
        what else is sent, and `received` must be told.
    told: what workers have of the model, where they are told differences; `as_received` is not
        asked then.
    chosen: what the method is called, and why it was chosen.
    kind: returns what is to be expected of the rounds of another plan, with its estimate.
    from_start: the model is the one with which runs begin.
    with_slope: whether a step tells the slope, which costs a few passes over a model.
    column_spread: returns how much columns differ in size (`RowsCurvature.spread`).
    """

    def __init__(
        self,
        method: Method,
        size: StepSize,
        estimate: GradientEstimate,
        total_weight: float,
        in_parts: InParts = at_once,
        as_received: Callable[[FloatArray], FloatArray] | None = np.copy,
        chosen: Chosen = UNNAMED,
        kind: Callable[[RunPlan, GradientEstimate], RoundKind] = _kind_of_rounds,
        *,
        told: Told | None = None,
        from_start: bool = True,
        with_slope: bool = False,
        column_spread: Callable[[], float] = lambda: math.nan,
    ) -> None:
        self.chosen = chosen
        self._kind = kind
        self.method = method
        self.size = size
        self.estimate = estimate
        self.total_weight = total_weight
        self._in_parts = in_parts
        method.in_parts = in_parts
        self.told = told
        self._as_received = as_received
        self._with_slope = with_slope
        self.column_spread = column_spread
        self._from_start = from_start
        """Units hold the rows that they had then, too."""
        self._due: frozenset[int] = frozenset()
        """Units without which the round that is open should not close."""
        self._anchors = Anchors()
        self._broadcasts = Broadcasts()
        self._late: list[tuple[CodedVector, int]] = []
        """Vectors that join the next step, and of which rounds they are."""
        self._unseen: deque[int] = deque()
        """Known units that the method has not looked ahead to in the round that is open."""
        self._renewals: dict[int, Renewal] = {}
        """What the units that have arrived in it change, in order of arrival."""
        self._untold: deque[int] = deque()
        """Those of them that the method has not taken in."""
        self._unsettled = False
        """Vectors wait to be added up."""
        self._is_opened = True
        """Nothing is left to be found of the round that is open before its first arrival."""
        self._is_behind = False
        """The method may have something of its last step left to do."""
        self._at_query = math.nan
        """The penalty at the query, if it is opened."""
        self._prepare_estimate()
        self._missing = self._nobody_missing()

    @property
    def model(self) -> FloatArray:
        """The method's estimate of the minimum, its own array: valid until the next step."""
        return self.method.model

    def begin(self) -> tuple[frozenset[int], ...]:
        """Forget the last round's arrivals; return which arrivals the method wants to hear.

        The round should not close without one of each of these groups, if one can arrive.
        """
        self.estimate.begin()
        self._renewals = {}
        self._untold.clear()
        self._unsettled = False
        memory = self._followed()
        if self.told is not None:
            self.told.tell(self.method.query)
        if memory is None:
            return ()
        self._is_opened = False
        self._is_behind = True
        if self.must_be_told:
            self._open(memory)
        # Units with the same anchor one after another: the method may look at it once.
        self._unseen = deque(sorted(memory.heard, key=lambda unit: memory.known[unit].round))
        since_start = memory.round if self._from_start else None
        self._due = frozenset(self.method.overdue(memory.ages, since_start))
        return tuple(memory.units.arrivals[unit] for unit in sorted(self._due))

    @property
    def missing(self) -> tuple[int, int]:
        """How many parts of the rows a method that follows them knows nothing of, and how many
        there are."""
        memory = self._followed()
        return self._missing.n_missing, 0 if memory is None else memory.units.n_held

    @property
    def must_be_told(self) -> bool:
        """Whether `received` must be told what workers receive."""
        return self._as_received is None and self.told is None and self.method.follows_units

    def received(self, support: npt.NDArray[Any] | None, values: FloatArray) -> None:
        """Take note of what workers with a support receive in the round that is open."""
        memory = self._followed()
        assert memory is not None
        self._broadcasts.received(memory.round, support, values)

    @property
    def has_work(self) -> bool:
        """True while the method may take in what has arrived in the round that is open, or look
        ahead to what can."""
        waits = self._untold or self._unseen or self._unsettled
        return bool(waits) or self._is_behind or not self._is_opened

    def work(self) -> None:
        """Let the method end its last step or take in one arrival, add up what has arrived, or look
        ahead to a unit."""
        memory = self._followed()
        assert memory is not None
        if not self._is_opened:
            self._open(memory)
            return
        if self._is_behind:
            self._catch_up()
            return
        if self._unsettled:
            self._unsettled = False
            memory.settle(self._in_parts)
            return
        if self._untold:
            self.method.arrived(self._renewal(memory, self._untold.popleft()))
            return
        unit = self._unseen.popleft()
        known = memory.known[unit]
        point = self._broadcasts.of(memory.round, known.support)
        assert point is not None
        self.method.look_ahead(unit, point, _at(self._anchors.of(unit), known))

    def slice(self, support: npt.NDArray[Any] | None) -> FloatArray:
        """Return a fresh copy of the point to broadcast, on a support (None: all parameters)."""
        query = self.method.query
        return query.copy() if support is None else query[support]

    def take(self, vector: CodedVector, weight: float | None) -> None:
        """Take an arrival with the weight that `Decoder.arrive` returned for its symbol."""
        self.estimate.take(vector, weight)
        memory = self._followed()
        if memory is not None:
            unit = memory.units.of_symbol[vector.symbol]
            if memory.fresh.get(unit) is vector:
                self._untold.append(unit)
                self._unsettled = not memory.is_settled

    def late(self, vector: CodedVector, age: int) -> None:
        """Offer one vector of a result that is `age` rounds old."""
        memory = self._followed()
        if memory is None:
            self.estimate.late(vector, age)
        else:
            self._late.append((vector, memory.round - age))

    def rebuild(self, plan: RunPlan, *, keep_memory: bool = False) -> None:
        """Go on with the gradient estimate of another code; the model stays.

        `keep_memory` says that what the old estimate remembers holds for the new one.
        """
        old, self.estimate = self.estimate, plan.coding.estimate(plan.n_parameters)
        self._prepare_estimate()
        self._missing = self._nobody_missing()
        self._unseen.clear()
        self._untold.clear()
        self._unsettled = False
        self._is_opened = True
        self._is_behind = False
        self._late.clear()
        if keep_memory:
            self.estimate.load_state(old.state())
        else:
            self._anchors.clear()
            self._broadcasts.clear()
            self._from_start = False
            self.method.forget_units(self._kind(plan, self.estimate))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies of everything a checkpoint must hold."""
        owners = {
            "optimizer": self.method.state(),
            "step": self.size.state(),
            "estimate": self.estimate.state(),
            "anchors": self._anchors.state(),
            "missing": self._missing.state(),
            "told": {} if self.told is None else self.told.state(),
            "units": {"from_start": np.array(self._from_start)},
        }
        return {
            f"{owner}/{name}": np.array(array)
            for owner, arrays in owners.items()
            for name, array in arrays.items()
        }

    def load_state(
        self, part: Callable[[str], Mapping[str, npt.NDArray[Any]]], *, same_code: bool
    ) -> None:
        """Go on from what `state` returned, before the first round.

        Parameters
        ----------
        part: returns the arrays of an owner under their own names.
        same_code: the state was taken under the plan's code, so what is remembered holds. Else it
            is forgotten, and the model stays.

        Raises
        ------
        DataError: it is of another model size or method.
        """
        self.method.load_state(part("optimizer"))
        self.size.load_state(part("step"))
        if self.told is not None:
            self.told.load_state(part("told"))
        # Earlier versions waited for all units at once, which is never wrong.
        self._from_start = same_code and bool(part("units").get("from_start", False))
        if not same_code:
            self.method.forget_units(self.method.rounds)
            return
        self.estimate.load_state(part("estimate"))
        memory = self._followed()
        if memory is not None:
            self._anchors.load_state(part("anchors"), memory.heard)
            self._missing.load_state(part("missing"))

    def step(self, decoding: Decoding, round_: int) -> StepOutcome:
        """Decode, and let the method step unless something is not finite."""
        self._unseen.clear()
        self._untold.clear()
        self._unsettled = False
        if self.told is not None:
            self.told.close()
        self._catch_up()
        memory = self._followed()
        if memory is not None:
            self._open(memory)
            self._join_late(memory)
        gradient, loss_sum = self.estimate.finish(decoding)
        gradient /= self.total_weight
        norm = math.sqrt(squared_norm(gradient))
        penalty = self._at_query if memory is not None else self._penalty()
        loss = loss_sum / self.total_weight + penalty
        if not (norm < DIVERGED_ABOVE and loss < DIVERGED_ABOVE):
            self.estimate.reject()
            return StepOutcome(
                norm,
                0.0,
                loss,
                f"the run diverged in round {round_}: the training loss is {loss:g} and the"
                f" gradient's norm {norm:g}; take a smaller --step",
            )
        slope = self._slope(gradient) if self._with_slope else math.nan
        found = Finding(round_, loss, gradient, decoding.decode_error)
        if memory is not None:
            renewals = [self._renewal(memory, unit) for unit in memory.fresh]
            anchors = [self._anchors.get(unit) for unit in range(len(memory.known))]
            found = replace(found, renewals=renewals, ages=memory.ages, anchors=anchors)
        move = self.method.step(found, self.size)
        if move.rejects:
            self.estimate.reject()
        else:
            self.estimate.absorb()
            for renewal in found.renewals:
                self._anchors.move(renewal.unit, renewal.fresh.point)
        self._renewals = {}
        if memory is not None:
            for unit in move.forgets:
                memory.forget(unit)
            self._anchors.forget(move.forgets)
            self._missing.step(memory.heard, self._due)
        return StepOutcome(
            norm,
            move.size,
            loss,
            decrease=self.method.predicted_decrease if self._missing.is_settled else None,
            rejected=move.rejects,
            slope=slope,
            given_up=[memory.units.slots[unit] for unit in move.forgets]
            if memory is not None
            else (),
        )

    def _open(self, memory: Memory) -> None:
        """Keep the point at which workers are asked, as they have it, unless that is done.

        It can wait until they have been sent it.
        """
        if not self._is_opened:
            self._is_opened = True
            query = self.method.query
            point = (self._as_received or np.copy)(query) if self.told is None else self.told.point
            self._broadcasts.open(memory.round, point)
            self._at_query = self._penalty()

    def _catch_up(self) -> None:
        """Let the method do what of its last step could wait, unless that is done."""
        if self._is_behind:
            self._is_behind = False
            self.method.catch_up()

    def _penalty(self) -> float:
        return self.method.penalty.value(self.method.query)

    def _slope(self, gradient: FloatArray) -> float:
        whole = gradient.copy()
        self.method.penalty.add_to(whole, self.method.query)
        return math.sqrt(squared_norm(whole))

    def _prepare_estimate(self) -> None:
        """Tell the estimate how to work."""
        self.estimate.in_parts = self._in_parts
        self.estimate.must_sum_memory = self.method.follows_units

    def _nobody_missing(self) -> Missing:
        memory = self._followed()
        slots = [] if memory is None else memory.units.slots
        return Missing([unit for unit, of_unit in enumerate(slots) if of_unit])

    def _followed(self) -> Memory | None:
        """Return the memory that the method must be told of."""
        return self.estimate.memory if self.method.follows_units else None

    def _join_late(self, memory: Memory) -> None:
        """Let what came late join the round, where it is known at which point it was taken."""
        for vector, round_ in self._late:
            if self._broadcasts.of(round_, vector.support) is not None:
                self.estimate.join(vector, memory.round - round_)
        self._late.clear()

    def _renewal(self, memory: Memory, unit: int) -> Renewal:
        """Return what the arrival of a unit in the round changes, always the same object."""
        renewal = self._renewals.get(unit)
        if renewal is None:
            vector, known, anchor = memory.fresh[unit], memory.known[unit], self._anchors.get(unit)
            point = self._broadcasts.of(memory.round - memory.joined.get(unit, 0), vector.support)
            assert point is not None
            self._renewals[unit] = renewal = Renewal(
                unit,
                memory.units.weights[unit] / self.total_weight,
                fresh=_at(point, vector),
                known=None if anchor is None else _at(anchor, known),
            )
        return renewal


def _at(point: FloatArray, vector: CodedVector | Remembered) -> UnitGradient:
    return UnitGradient(point, vector.support, vector.values, vector.loss)
