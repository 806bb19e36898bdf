"""The rounds of a run: models go out, results come back, until there are enough. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import repeat

from msgspec import Struct

from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.schemes.regrouping import go_on
from erasurehead.schemes.session import Session
from erasurehead.wire.messages import Result
from erasurehead_master.machine.actions import CloseRound, Fold, FoldLate, OpenRound, SendStep
from erasurehead_master.machine.lateness import Lateness
from erasurehead_master.machine.membership import Member
from erasurehead_master.machine.norms import NormLimit
from erasurehead_master.machine.outbox import Outbox
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.machine.rounds import Rounds
from erasurehead_master.machine.sending import SendingOrders
from erasurehead_master.machine.sizes import Size, Sizes
from erasurehead_master.machine.supports import Support, Supports
from erasurehead_master.machine.vetting import Contents, Fault, unpacked

ROUNDED_LOSS = 1e-6
"""More than rounding takes from the loss of a row."""


class Came(Struct, frozen=True):
    """A result that is in order by itself: whose it is, what it says, how large, and since when."""

    member: Member
    result: Result
    vectors: list[CodedVector]
    size: Size
    at: float

    @property
    def part(self) -> tuple[int, int]:
        """Slot and part of the result."""
        return self.result.slot, self.result.part


Blame = tuple[Member, Fault]
"""A worker, and what is wrong with a result that it has sent."""


class Training:
    """Opens rounds, takes results and closes rounds, under one code after another.

    Parameters
    ----------
    plan: of the run.
    first_round: 1, or the round to resume with.
    out: where actions go.
    """

    def __init__(self, plan: RunPlan, first_round: int, out: Outbox) -> None:
        self.round = first_round - 1
        """The round that was opened last."""
        self.epoch = 0
        """Version of the code."""
        self.stale = 0
        """Messages of an earlier round or epoch that were heard."""
        self.supports = Supports()
        self._widths: dict[int, int] = {}
        """How many values the vectors of each slot have to have."""
        self._lateness = Lateness()
        self._non_finite_slots: set[int] = set()
        self._sent_again: dict[int, float] = {}
        """When each slot was last sent the open round once more."""
        self._orders = SendingOrders(plan.settings.run.seed)
        self._out = out
        self._take_up(plan, plan.coding.begin())

    def adopt(self, plan: RunPlan, epoch: int) -> None:
        """Go on with another code between two rounds; slots that stay keep what was learnt."""
        old = self._plan.coding
        same_slots = plan.code.n_workers == old.code.n_workers
        session = go_on(self.session, old, plan.coding) if same_slots else plan.coding.begin()
        self.epoch = epoch
        self.supports.clear()
        self._widths.clear()
        self._lateness.forget()
        self._take_up(plan, session)

    def loaded(self, slot: int, support: Support) -> None:
        """Take note of the support of the rows that a slot's worker has loaded."""
        self.supports.remember(slot, support)
        self._widths[slot] = self._plan.n_parameters if support is None else support.size

    def open(self, ready: list[tuple[int, bytes]], now: float) -> None:
        """Open the next round and send it to these (slot, peer) pairs, in an order of its own."""
        self.round += 1
        targets = [ready[i] for i in self._orders.of(self.round, len(ready))]
        self._lateness.opened(self.round, now, self._code.n_workers * self._code.n_parts)
        self._sizes.begin()
        self._lost.clear()
        self._non_finite_slots.clear()
        self._sent_again.clear()
        self.rounds.open(now, [slot for slot, _ in targets])
        self._out.add(OpenRound(self.round))
        if targets:
            self._send_step(targets)

    def join(self, member: Member) -> None:
        """Let a member that has become ready take part in the open round, if there is one."""
        assert member.slot is not None
        self._lost.discard(member.slot)
        if self.waits and self.rounds.join(member.slot):
            self._send_step([(member.slot, member.peer)])

    def catch_up(self, member: Member, at_work: int, now: float) -> None:
        """Send a ready member the open round again if it is long open and not worked on.

        Its STEP was lost then, or its result (a cut connection). `at_work` is the round that the
        member says it is at; 0: none. A model is large beside a heartbeat, so however many of these
        come, it is sent twice in an interval at most.
        """
        if not self.rounds.is_open:
            return
        age_s = self._lateness.age_s(self.round, now)
        assert age_s is not None
        waits = any(suspect.kept.member is member for suspect in self._sizes.suspects)
        assert member.slot is not None
        again_s = now - self._sent_again.get(member.slot, -math.inf)
        hurried = again_s < self._patience_s / 2
        if at_work < self.round and age_s > self._patience_s and not waits and not hurried:
            self._sent_again[member.slot] = now
            self.join(member)

    def result(self, member: Member, result: Result, now: float) -> list[Blame]:
        """Take a result; return what turns out to be wrong with it, and with some that waited."""
        slot = member.slot if member.ready else member.drains_from
        if result.epoch < self.epoch:
            self.stale += 1
            return []
        if slot is None or result.slot != slot or result.epoch != self.epoch:
            what = f"a result of slot {result.slot}, from {member.called}"
            return [(member, Fault("wrong-slot", what, "refused"))]
        if result.round > self.round or result.round == 0 or result.part >= self._code.n_parts:
            return [(member, Fault("wrong-shape", f"a result of round {result.round}"))]
        current = result.round == self.round and self.rounds.is_open
        if not self._is_new(slot, result, current=current):
            what = f"another result of round {result.round}, from {member.called}"
            return [(member, Fault("duplicate", what, "refused"))]
        n_vectors, width = self._code.n_vectors, self._widths[slot]
        found = unpacked(result, self._format, n_vectors, width, self._norms)
        if isinstance(found, Fault):
            return [(member, found)]
        if self._loss_is_impossible(slot, result):
            what = f"a loss of {min(result.loss):.3g}, which no parameters have"
            return [(member, Fault("impossible-loss", what))]
        came = Came(member, result, self._coded(slot, result, found), found.size, now)
        if current:
            return self._compare(slot, came)
        if not self._sizes.fits(slot, found.size):
            return [(member, Fault("over-norm", f"late, {_far_too_large(came)}", "refused"))]
        self._take_late(slot, came)
        return []

    def _is_new(self, slot: int, result: Result, *, current: bool) -> bool:
        """Return whether this is the first result of its slot, part and round."""
        if current:
            part, suspects = result.part, self._sizes.suspects
            waits = suspects and any(s.kept.part == (slot, part) for s in suspects)
            return self.rounds.expects(slot, part) and not waits
        return self._lateness.is_new(result.round, self._number(slot, result.part))

    def _loss_is_impossible(self, slot: int, result: Result) -> bool:
        """Return whether a sum of losses under weights, none of them negative, is negative."""
        if min(result.loss) >= self._least_loss:
            return False
        symbols = self._code.symbols(slot, result.part)
        return any(
            loss < self._least_loss and bool((self._code.row(symbol)[1] >= 0).all())
            for symbol, loss in zip(symbols, result.loss, strict=True)
        )

    def _coded(self, slot: int, result: Result, found: Contents) -> list[CodedVector]:
        symbols, support = self._code.symbols(slot, result.part), self.supports[slot]
        return list(map(CodedVector, symbols, repeat(support), found.vectors, result.loss))

    def _compare(self, slot: int, came: Came) -> list[Blame]:
        """Take a result of the open round, let it wait or refuse it, by what others have sent."""
        sizes = self._sizes
        verdict = sizes.judge(slot, came.size)
        if verdict == "refuse":
            return [(came.member, Fault("over-norm", _far_too_large(came)))]
        blamed: list[Blame] = []
        if sizes.suspects:
            for suspect, credible in sizes.compare(slot, came.size):
                if credible:
                    self._take(suspect.slot, suspect.kept)
                else:
                    fault = Fault("over-norm", _far_too_large(suspect.kept))
                    blamed.append((suspect.kept.member, fault))
        if verdict == "take":
            self._take(slot, came)
        else:
            sizes.suspect(slot, came.size, came)
        self._release_suspects(came.at)
        return blamed

    def _release_suspects(self, now: float) -> None:
        """Take what waits to be compared if no worker is left that could send anything else."""
        if not self._sizes.suspects and not self._lost:
            return
        waiting = {suspect.slot for suspect in self._sizes.suspects}
        if waiting and self.rounds.waits_only_for(waiting):
            for suspect in self._sizes.release():
                self._take(suspect.slot, suspect.kept)
            waiting.clear()
        for slot in self._lost - waiting:
            self._lost.discard(slot)
            self.rounds.lose(slot, now)

    def _take(self, slot: int, came: Came) -> None:
        """Let a result of the open round arrive, unless the round has closed without it."""
        result = came.result
        self._sizes.admit(slot, came.size)
        self._lateness.heard(result.round, self._number(slot, result.part))
        if not self.rounds.expects(slot, result.part):
            self.stale += 1
            return
        weights = self.rounds.arrive(slot, result.part, came.at, result.compute_s, result.delay_s)
        self._out.add(Fold(came.vectors, weights))
        self.close_if_over()
        if len(self.rounds.arrivals) == 1:
            # While others compute: between two rounds it would be waited for.
            self._orders.of(self.round + 1, self.rounds.n_sent)

    def _take_late(self, slot: int, came: Came) -> None:
        round_ = came.result.round
        self._lateness.heard(round_, self._number(slot, came.result.part))
        self._lateness.stale(slot, round_, came.at)
        self.stale += 1
        self._out.add(FoldLate(came.vectors, self.round - round_))

    def _number(self, slot: int, part: int) -> int:
        """Return the number of a result among those of a round."""
        return slot * self._code.n_parts + part

    def most_are_not_finite(self, slot: int, round_: int) -> bool:
        """Note that a slot's result is not finite; True if most of the round's slots say so.

        Then it is the model's fault, and not a worker's.
        """
        if round_ != self.round or not self.rounds.is_open:
            return False
        self._non_finite_slots.add(slot)
        return 2 * len(self._non_finite_slots) > self.rounds.n_sent

    def lose(self, slots: Iterable[int], now: float) -> None:
        """Nothing more will come from these slots in the open round."""
        waiting = {suspect.slot for suspect in self._sizes.suspects}
        for slot in slots:
            if slot in waiting:
                self._lost.add(slot)
            else:
                self.rounds.lose(slot, now)
        self._release_suspects(now)

    def wake(self, now: float) -> None:
        """Time has passed; a deadline may be over."""
        self.rounds.wake(now)
        self.close_if_over()

    def close_if_over(self) -> None:
        """Close the open round if it has a reason to."""
        if not self.rounds.is_open or self.rounds.closed is None:
            return
        reason = self.rounds.closed
        arrivals = tuple(self.rounds.arrivals)
        decoding, stragglers = self.rounds.close()
        late = self._lateness.take()
        self._out.add(CloseRound(self.round, reason, decoding, arrivals, stragglers, late))

    @property
    def waits(self) -> bool:
        """True while a round is open and has no reason to close."""
        return self.rounds.is_open and self.rounds.closed is None

    def _take_up(self, plan: RunPlan, session: Session) -> None:
        self._plan = plan
        self._code = plan.code
        self._format = plan.vector_format
        # A loss of zero may be rounded to something below.
        self._least_loss = -math.inf
        if plan.model.lowest_loss >= 0:
            self._least_loss = -ROUNDED_LOSS * plan.training_rows
        self._patience_s = plan.settings.membership.heartbeat_interval_s
        self.session = session
        self.rounds = Rounds(session)
        # Slots hold other rows now, so their results are larger or smaller.
        multiple = plan.settings.limits.norm_multiple
        self._sizes = Sizes[Came]()
        self._lost: set[int] = set()
        """Slots from which nothing more will come than what waits to be compared."""
        self._norms = None if multiple is None else NormLimit(multiple, 4 * plan.code.n_workers)

    def _send_step(self, targets: Iterable[tuple[int, bytes]]) -> None:
        """Send the open round's model to these (slot, peer) pairs."""
        on_supports = tuple([(peer, self.supports[slot]) for slot, peer in targets])
        self._out.add(SendStep(self.round, self.epoch, self._format, on_supports))


def _far_too_large(came: Came) -> str:
    return (
        f"a result of norm {came.size.norm:.3g} and loss {came.size.loss:.3g}, far larger than"
        " those of other workers"
    )
