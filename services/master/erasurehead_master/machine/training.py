"""The rounds of a run: models go out, results come back, until there are enough. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

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
from erasurehead_master.machine.rounds import Rounds, sending_order
from erasurehead_master.machine.supports import Support, Supports
from erasurehead_master.machine.vetting import Fault, unpacked


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
        self._drawn: tuple[tuple[int, int], list[int]] = (0, 0), []
        """The order of sending drawn last, and for which round and how many slots."""
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
        self._lateness.take()
        self._take_up(plan, session)

    def loaded(self, slot: int, support: Support) -> None:
        """Take note of the support of the rows that a slot's worker has loaded."""
        self.supports.remember(slot, support)
        self._widths[slot] = self._plan.n_parameters if support is None else support.size

    def open(self, ready: list[tuple[int, bytes]], now: float) -> None:
        """Open the next round and send it to these (slot, peer) pairs, in an order of its own."""
        self.round += 1
        targets = [ready[i] for i in self._order(self.round, len(ready))]
        self._lateness.opened(self.round, now)
        self._non_finite_slots.clear()
        self.rounds.open(now, [slot for slot, _ in targets])
        self._out.add(OpenRound(self.round))
        if targets:
            self._send_step(targets)

    def join(self, member: Member) -> None:
        """Let a member that has become ready take part in the open round, if there is one."""
        assert member.slot is not None
        if self.waits and self.rounds.join(member.slot):
            self._send_step([(member.slot, member.peer)])

    def catch_up(self, member: Member, at_work: int, now: float) -> None:
        """Send a ready member the open round again if it is long open and not worked on.

        Its STEP was lost then, or its result (a cut connection). `at_work` is the round that the
        member says it is at; 0: none.
        """
        if not self.rounds.is_open:
            return
        age_s = self._lateness.age_s(self.round, now)
        assert age_s is not None
        if at_work < self.round and age_s > self._patience_s:
            self.join(member)

    def result(self, member: Member, result: Result, now: float) -> Fault | None:
        """Take a result; return what is wrong with it, None for nothing."""
        slot = member.slot if member.ready else member.drains_from
        if result.epoch < self.epoch:
            self.stale += 1
            return None
        if slot is None or result.slot != slot or result.epoch != self.epoch:
            what = f"a result of slot {result.slot}, from {member.called}"
            return Fault("wrong-slot", what, "refused")
        current = result.round == self.round and self.rounds.is_open
        if result.round > self.round or result.round == 0 or result.part >= self._code.n_parts:
            return Fault("wrong-shape", f"a result of round {result.round}")
        if current and not self.rounds.expects(slot, result.part):
            what = f"another result of round {result.round}, from {member.called}"
            return Fault("duplicate", what, "refused")
        n_vectors, width = self._code.n_vectors, self._widths[slot]
        found = unpacked(result, self._format, n_vectors, width, self._norms)
        if isinstance(found, Fault):
            return found
        first = self._code.symbols(slot, result.part)[0]
        support, losses = self.supports[slot], result.loss
        vectors = [CodedVector(first + i, support, v, losses[i]) for i, v in enumerate(found)]
        if not current:
            self.stale += 1
            self._lateness.stale(slot, result.round, now)
            self._out.add(FoldLate(vectors, self.round - result.round))
            return None
        weights = self.rounds.arrive(slot, result.part, now, result.compute_s, result.delay_s)
        self._out.add(Fold(vectors, weights))
        self.close_if_over()
        if len(self.rounds.arrivals) == 1:
            # While others compute: between two rounds it would be waited for.
            self._order(self.round + 1, self.rounds.n_sent)
        return None

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
        for slot in slots:
            self.rounds.lose(slot, now)

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
        self._seed = plan.settings.run.seed
        self._patience_s = plan.settings.membership.heartbeat_interval_s
        self.session = session
        self.rounds = Rounds(session)
        # Slots hold other rows now, so their results are larger or smaller.
        multiple = plan.settings.limits.norm_multiple
        self._norms = None if multiple is None else NormLimit(multiple, 4 * plan.code.n_workers)

    def _order(self, round_: int, n_ready: int) -> list[int]:
        """Return the order in which the ready slots are sent a round; it is drawn once."""
        drawn_for, order = self._drawn
        if drawn_for != (round_, n_ready):
            order = sending_order(self._seed, round_, n_ready).tolist()
            self._drawn = (round_, n_ready), order
        return order

    def _send_step(self, targets: Iterable[tuple[int, bytes]]) -> None:
        """Send the open round's model to these (slot, peer) pairs."""
        on_supports = tuple([(peer, self.supports[slot]) for slot, peer in targets])
        self._out.add(SendStep(self.round, self.epoch, self._format, on_supports))
