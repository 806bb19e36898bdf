"""The master without I/O: `Master.handle(event, now) -> actions` is the only way its state changes.

The conductor (`run/conductor.py`) delivers events and carries out actions in order. Deadlines live
in here: after handling, `wake_at` says when the machine wants a `Woke` event at the latest (a
property rather than an action, so that a thousand results do not make a thousand timers).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.records import Level
from erasurehead.wire.messages import (
    Goodbye,
    Heartbeat,
    Hello,
    NeedTask,
    Ready,
    Refusal,
    Refuse,
    Register,
    Result,
    Stop,
    StopCode,
)
from erasurehead_master.machine import endings, vetting
from erasurehead_master.machine.actions import (
    Action,
    CloseRound,
    Evaluate,
    Finish,
    Fold,
    FoldLate,
    Notice,
    OpenRound,
    Rebuild,
    Refused,
    Send,
    SendStep,
    SendTask,
)
from erasurehead_master.machine.events import (
    CutOff,
    Departed,
    Event,
    Garbage,
    Received,
    Shutdown,
    Stepped,
    TurnedAway,
    Unreachable,
    Wanted,
    Woke,
)
from erasurehead_master.machine.lateness import Lateness
from erasurehead_master.machine.membership import Change, Member, Membership
from erasurehead_master.machine.norms import NormLimit
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.machine.refit import Refit
from erasurehead_master.machine.rounds import Rounds, sending_order
from erasurehead_master.machine.supports import Supports


class Phase(Enum):
    """Where the run is."""

    GATHERING = "gathering"
    TRAINING = "training"
    FINISHED = "finished"


class Master:
    """Membership and rounds of one run.

    Parameters
    ----------
    plan: code, scheme and sizes of the run.
    now: the clock's reading at the start.
    first_round: 1, or the round to resume with.
    """

    def __init__(self, plan: RunPlan, now: float, first_round: int = 1) -> None:
        self.plan = plan
        self.limits = plan.settings.membership
        self.phase = Phase.GATHERING
        self.epoch = 0
        self.round = first_round - 1
        self.rounds = Rounds(plan.code, plan.decoder, plan.stop)
        self.membership = Membership(plan.code.n_workers, self.limits.silence_limit_s)
        self.rounds_done = first_round - 1
        self.supports = Supports()
        self.refused: Counter[Refusal] = Counter()
        self.stale = 0
        self.norms = _norm_limit(plan)
        self._lateness = Lateness()
        self._non_finite_slots: set[int] = set()
        self._gather_until = now + self.limits.max_wait_s
        self._tick_at = now + self.limits.heartbeat_interval_s
        self._empty_since: float | None = now
        self._stop_after_round: str | None = None
        self._refit = Refit(plan.settings.refit, first_round - 1)
        self._actions: list[Action] = []

    @property
    def wake_at(self) -> float:
        """When the machine wants to be woken at the latest."""
        times = [self._tick_at]
        if self.rounds.wake_at is not None:
            times.append(self.rounds.wake_at)
        if self.phase is Phase.GATHERING:
            times.append(self._gather_until)
        return min(times)

    @property
    def needed(self) -> int:
        """Workers that must be ready before round 1 if not all of them come in time."""
        if self.epoch > 0:
            return 1  # a rebuilt code goes on with whoever is ready
        return self.limits.min_workers or self.plan.code.n_workers

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event and return what must be done, in order."""
        actions: list[Action] = []
        self._actions = actions
        if self.phase is Phase.GATHERING and self.round >= self.plan.settings.descent.rounds:
            # A run that was resumed, and had done its last round.
            self._finish(endings.done(self.round))
        if self.phase is Phase.FINISHED:
            return actions
        match event:
            case Received():
                self._received(event, now)
            case Stepped(diverged):
                self._stepped(diverged, now)
            case Woke():
                self._woke(now)
            case Wanted(groups):
                self.rounds.want(groups)
            case Garbage():
                self._garbage(event)
            case Unreachable(peer):
                self._unreachable(peer, now)
            case Departed():
                self._departed(event, now)
            case CutOff(peer, why):
                self._cut_off(peer, why, now)
            case TurnedAway(reason):
                self.refused[reason] += 1
            case Shutdown(at_once, reason):
                self._shutdown(at_once, reason)
        return actions

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies of what a checkpoint must hold besides the descent's state."""
        learnt = {f"stop/{k}": np.array(v) for k, v in self.rounds.stop.state().items()}
        set_aside = np.array(sorted(self.membership.set_aside), dtype=np.str_)
        placed: dict[str, npt.NDArray[Any]] = {}
        if self.plan.placement is not None:
            placed["code/probabilities"] = self.plan.placement.probabilities.copy()
            placed["code/placed_round"] = np.array(self._refit.placed_round)
        return {
            "code/n_workers": np.array(self.plan.code.n_workers),
            "members/set_aside": set_aside,
            **placed,
            **learnt,
        }

    def go_on_with(self, plan: RunPlan, placed_round: int) -> None:
        """Before anybody is greeted: take the plan that a checkpoint was written with.

        `placed_round` is the round after which its tasks were placed.
        """
        self._adopt(plan)
        self.membership.resize(plan.code.n_workers)
        self._refit.placed_round = placed_round

    def validate(self) -> None:
        """Assert every invariant (on in tests)."""
        self.membership.validate()
        self.rounds.validate()
        assert 0 <= self.round <= self.plan.settings.descent.rounds
        if self.phase is Phase.GATHERING:
            assert not self.rounds.is_open
        for slot, _ in self.membership.ready_slots():
            assert slot in self.supports

    # What peers say

    def _received(self, received: Received, now: float) -> None:
        peer, message = received.peer, received.message
        member = self.membership.hear(peer, now)
        if isinstance(message, Hello):
            self._hello(peer, message, received.key, now)
        elif member is None:
            what = f"a {message.kind} of somebody who is not registered"
            self._refuse(peer, "unknown-peer", what)
            self._actions.append(Send(peer, Register()))
        elif isinstance(message, Result):
            self._result(member, message, now)
        elif isinstance(message, Heartbeat):
            self._heartbeat(member, message, now)
        elif isinstance(message, Ready):
            self._ready(member, message, now)
        elif isinstance(message, NeedTask):
            self._need_task(member, message)
        elif isinstance(message, Goodbye):
            self._notice("info", f"worker {member.name} leaves: {message.reason}")
            self._apply(self.membership.leave(peer), now)

    def _hello(self, peer: bytes, hello: Hello, key: str | None, now: float) -> None:
        if hello.name in self.membership.set_aside:
            self._count(peer, "set-aside")
            reason = f"worker {hello.name} was set aside in this run for its wrong results"
            self._actions.append(Send(peer, Refuse("set-aside", reason)))
            return
        known = peer in self.membership.members
        if (
            not known
            and len(self.membership.members) >= self.plan.settings.max_connections
            # Who comes back takes its own place.
            and all(m.name != hello.name for m in self.membership.members.values())
        ):
            self._count(peer, "too-many-members")
            reason = f"{len(self.membership.members)} workers are registered already"
            self._actions.append(Send(peer, Refuse("too-many-members", reason)))
            return
        self._apply(self.membership.greet(peer, hello, now), now)
        member = self.membership.members.get(peer)
        if member is None:
            return  # a newer process has its place
        if member.slot is None:
            self._actions.append(Send(peer, self._sign_of_life()))
        if not known:
            place = "as a spare" if member.slot is None else f"in slot {member.slot}"
            self._notice("debug", f"worker {member.name} on {member.host} registered {place}")
            if key is not None:
                self._notice("info", f"worker {member.name} came in under the key {key}")

    def _ready(self, member: Member, ready: Ready, now: float) -> None:
        slot = member.slot
        if ready.epoch < self.epoch:
            self.stale += 1
            return
        if slot is None or ready.slot != slot or ready.epoch != self.epoch:
            what = f"ready for slot {ready.slot}, from {member.name}"
            self._refuse(member.peer, "wrong-slot", what)
            return
        support = ready.support
        if support is not None and not vetting.is_support(support, self.plan.n_parameters):
            self._strike(member, "wrong-shape", "a support that is not a sorted set of parameters")
            return
        if ready.digest != self.plan.digest:
            self._count(member.peer, "wrong-shape")
            reason = (
                f"it read another store (digest {ready.digest:.12}, not {self.plan.digest:.12})"
            )
            self._expel(member, "wrong-data", reason, now)
            return
        member.ready = True
        self._empty_since = None
        self.supports.remember(slot, support)
        if self.phase is Phase.GATHERING:
            self._maybe_start(now)
        elif self.rounds.is_open and self.rounds.closed is None and self.rounds.join(slot):
            self._send_step([(slot, member.peer)])

    def _need_task(self, member: Member, need: NeedTask) -> None:
        slot = member.slot
        if (
            slot is None
            or need.epoch != self.epoch
            or need.task not in self.plan.tasks_of(slot)
            or need.chunk >= self.plan.n_chunks(need.task)
        ):
            what = f"a wish for task {need.task}, from {member.name}"
            self._refuse(member.peer, "wrong-slot", what)
            return
        chunks = self.plan.n_chunks(need.task)
        rows = self.plan.chunk_range(need.task, need.chunk)
        self._actions.append(SendTask(member.peer, self.epoch, need.task, need.chunk, chunks, rows))

    def _heartbeat(self, member: Member, beat: Heartbeat, now: float) -> None:
        self._actions.append(Send(member.peer, self._sign_of_life()))
        slot = member.slot
        if slot is not None and not member.ready:
            # A cut may have taken ASSIGN or READY; to who is still loading this is nothing new.
            self._actions.append(Send(member.peer, self.plan.assign(slot, self.epoch)))
            return
        if slot is None or not self.rounds.is_open:
            return
        # A worker that is not at work long after the broadcast has missed it, or its result was
        # lost (a cut connection).
        age_s = self._lateness.age_s(self.round, now)
        assert age_s is not None
        behind = beat.round < self.round and age_s > self.limits.heartbeat_interval_s
        if behind and self.rounds.closed is None and self.rounds.join(slot):
            self._send_step([(slot, member.peer)])

    def _result(self, member: Member, result: Result, now: float) -> None:
        slot = member.slot
        if result.epoch < self.epoch:
            self.stale += 1
            return
        if slot is None or result.slot != slot or not member.ready or result.epoch != self.epoch:
            what = f"a result of slot {result.slot}, from {member.name}"
            self._refuse(member.peer, "wrong-slot", what)
            return
        current = result.round == self.round and self.rounds.is_open
        if result.round > self.round or result.round == 0 or result.part >= self.plan.n_parts:
            self._strike(member, "wrong-shape", f"a result of round {result.round}", now)
            return
        if current and not self.rounds.expects(slot, result.part):
            what = f"another result of round {result.round}, from {member.name}"
            self._refuse(member.peer, "duplicate", what)
            return
        support = self.supports[slot]
        width = self.plan.n_parameters if support is None else support.size
        plan = self.plan
        found = vetting.unpacked(result, plan.vector_format, plan.code.n_vectors, width, self.norms)
        if isinstance(found, vetting.Fault):
            self._strike(member, found.reason, found.what, now)
            if found.reason == "non-finite":
                self._non_finite(slot, result.round)
            return
        symbols = self.plan.code.symbols(slot, result.part)
        vectors = tuple(
            [
                CodedVector(symbol, support, values, loss)
                for symbol, values, loss in zip(symbols, found, result.loss, strict=True)
            ]
        )
        if not current:
            self.stale += 1
            self._lateness.stale(slot, result.round, now)
            self._actions.append(FoldLate(vectors, self.round - result.round))
            return
        weights = self.rounds.arrive(slot, result.part, now, result.compute_s, result.delay_s)
        self._actions.append(Fold(vectors, weights))
        self._maybe_close()

    def _non_finite(self, slot: int, round_: int) -> None:
        """Blame the worker, unless most of them say the same: then it is the model's fault."""
        if round_ == self.round and self.rounds.is_open:
            self._non_finite_slots.add(slot)
            if 2 * len(self._non_finite_slots) > self.rounds.n_sent:
                self.rounds.abandon()
                self._finish(endings.most_diverged(self.round))

    def _garbage(self, garbage: Garbage) -> None:
        member = self.membership.members.get(garbage.peer)
        if member is not None:
            self._strike(member, garbage.reason, garbage.sentence)
            return
        if garbage.greeting:
            # It would greet for ever, and nobody would know why.
            self._actions.append(Send(garbage.peer, Refuse(garbage.reason, garbage.sentence)))
        self._refuse(garbage.peer, garbage.reason, garbage.sentence)

    def _count(self, peer: bytes, reason: Refusal) -> None:
        """Count a message that is not used."""
        self.refused[reason] += 1
        self._actions.append(Refused(peer, reason))

    def _refuse(self, peer: bytes, reason: Refusal, sentence: str) -> None:
        """Count a message that is not used, and say so to those who read closely."""
        self._count(peer, reason)
        self._notice("debug", f"refused a message ({reason}): {sentence}")

    # What happens to peers

    def _unreachable(self, peer: bytes, now: float) -> None:
        """A send failed; the peer keeps its slot until the silence limit, but not this round."""
        member = self.membership.members.get(peer)
        if member is not None and member.slot is not None:
            self.rounds.lose(member.slot, now)
            self._maybe_close()

    def _departed(self, gone: Departed, now: float) -> None:
        self._notice("warning", f"worker {gone.name} {gone.why}")
        if gone.last and self._stop_after_round is None:  # nobody is left who could come back
            self.rounds.abandon()
            self._finish(endings.nobody_left(self.round))
            return
        member = next((m for m in self.membership.members.values() if m.name == gone.name), None)
        if member is not None:
            self._apply(self.membership.leave(member.peer), now)
        elif gone.last and self._stop_after_round is not None:
            self._stop_with_nobody_left(self._stop_after_round)

    def _cut_off(self, peer: bytes, why: str, now: float) -> None:
        member = self.membership.members.get(peer)
        if member is not None:
            self._notice("warning", f"worker {member.name} is cut off: {why}")
            self._apply(self.membership.leave(peer), now)

    def _strike(self, member: Member, reason: Refusal, what: str, now: float | None = None) -> None:
        """Count a wrong message against a member; after a few, set it aside."""
        self._count(member.peer, reason)
        member.strikes += 1
        allowed = self.limits.set_aside_after
        self._notice(
            "warning", f"worker {member.name} sent {what} ({member.strikes} of {allowed} allowed)"
        )
        if member.strikes >= allowed:
            self.membership.set_aside.add(member.name)
            when = member.last_heard if now is None else now
            self._expel(member, "set-aside", f"{member.strikes} wrong messages", when)

    def _expel(self, member: Member, code: StopCode, reason: str, now: float) -> None:
        self._notice("error", f"worker {member.name} is sent away: {reason}")
        self._actions.append(Send(member.peer, Stop(code, reason)))
        self._apply(self.membership.leave(member.peer), now)

    def _apply(self, change: Change, now: float) -> None:
        """Carry a membership change into the round and to the peers."""
        for old in change.replaced:
            reason = f"a newer process took the place of worker {old.name}"
            self._actions.append(Send(old.peer, Stop("replaced", reason)))
            self._notice("info", reason)
        for slot in change.vacated:
            self.rounds.lose(slot, now)
        for member in change.assigned:
            assert member.slot is not None
            self._actions.append(Send(member.peer, self.plan.assign(member.slot, self.epoch)))
        if self.membership.n_ready == 0:
            if self._empty_since is None:
                self._empty_since = now
                self._notice(
                    "warning",
                    "no worker is left; waiting"
                    f" {self.limits.empty_limit_s:g} s for one to come (back)",
                )
        else:
            self._empty_since = None
        self._maybe_close()
        if self._stop_after_round is not None and self.membership.n_ready == 0:
            self._stop_with_nobody_left(self._stop_after_round)
        if self.phase is Phase.GATHERING and self.epoch > 0:
            self._maybe_start(now)  # who is gone is not waited for

    # Rounds

    def _maybe_start(self, now: float) -> None:
        ready = self.membership.n_ready
        if self.epoch == 0:
            everybody = ready == self.plan.code.n_workers
        else:  # a slot may have been empty for long
            everybody = self.membership.all_ready
        if everybody or (now >= self._gather_until and ready >= self.needed):
            self.phase = Phase.TRAINING
            if ready < self.plan.code.n_workers:
                self._notice(
                    "warning", f"starting with {ready} of {self.plan.code.n_workers} workers"
                )
            self._open(now)

    def _open(self, now: float) -> None:
        self.round += 1
        ready = self.membership.ready_slots()
        order = sending_order(self.plan.settings.run.seed, self.round, len(ready))
        targets = tuple(ready[i] for i in order)
        self._lateness.opened(self.round, now)
        self._non_finite_slots.clear()
        self.rounds.open(now, [slot for slot, _ in targets])
        self._actions.append(OpenRound(self.round))
        if targets:
            self._send_step(targets)

    def _send_step(self, targets: Iterable[tuple[int, bytes]]) -> None:
        """Send the open round's model to these (slot, peer) pairs."""
        on_supports = tuple([(peer, self.supports[slot]) for slot, peer in targets])
        self._actions.append(SendStep(self.round, self.epoch, self.plan.vector_format, on_supports))

    def _maybe_close(self) -> None:
        if not self.rounds.is_open or self.rounds.closed is None:
            return
        reason = self.rounds.closed
        arrivals = tuple(self.rounds.arrivals)
        decoding, stragglers = self.rounds.close()
        late = self._lateness.take()
        self._actions.append(CloseRound(self.round, reason, decoding, arrivals, stragglers, late))

    def _stepped(self, diverged: str | None, now: float) -> None:
        self.rounds_done = self.round - (diverged is not None)
        descent = self.plan.settings.descent
        last = self.round == descent.rounds
        if diverged is None and (last or self.round % descent.evaluate_every_rounds == 0):
            self._actions.append(Evaluate(self.round))
        if diverged is not None:
            self._finish(endings.diverged(diverged))
        elif self.round >= self.plan.settings.descent.rounds:
            self._finish(endings.done(self.round))
        elif self._stop_after_round is not None:
            self._finish(endings.asked(self._stop_after_round))
        elif not self._refitted(now):
            self._open(now)

    # Another code

    def _refitted(self, now: float) -> bool:
        """Between two rounds: go on with another code if one is due."""
        found = self._refit.look(self.plan, len(self.membership.members), self.round, now)
        if found is None:
            return False
        self._actions.append(found.notice)
        if found.rebuild is None:
            return False
        if found.keeps_slots:
            seated = self.membership.reload()
        else:
            seated = self.membership.resize(found.rebuild.plan.code.n_workers)
        self._rebuild(found.rebuild, seated, now)
        return True

    def _rebuild(self, rebuild: Rebuild, seated: Iterable[Member], now: float) -> None:
        """Go on with another code when those who have a slot have loaded its rows."""
        self.epoch += 1
        self._adopt(rebuild.plan)
        self._refit.placed_round = self.round
        self._lateness.take()
        self._actions.append(rebuild)
        self.phase = Phase.GATHERING
        self._gather_until = now + self.limits.max_wait_s
        self._empty_since = now
        for member in seated:
            assert member.slot is not None
            self._actions.append(Send(member.peer, self.plan.assign(member.slot, self.epoch)))

    def _adopt(self, plan: RunPlan) -> None:
        self.plan = plan
        self.rounds = Rounds(plan.code, plan.decoder, plan.stop)
        # Slots hold other rows now, so their results are larger or smaller.
        self.norms = _norm_limit(plan)
        self.supports.clear()

    def _woke(self, now: float) -> None:
        if now >= self._tick_at:
            self._tick_at = now + self.limits.heartbeat_interval_s
            for member in self.membership.silent(now):
                left = "it is no spare any more"
                if member.slot is not None:
                    left = f"its slot {member.slot} is free"
                silent_s = now - member.last_heard
                self._notice(
                    "warning", f"worker {member.name} was silent for {silent_s:.1f} s; {left}"
                )
                self._apply(self.membership.leave(member.peer), now)
            limit = self.limits.empty_limit_s
            if (
                self.phase is Phase.TRAINING
                and self._empty_since is not None
                and now - self._empty_since >= limit
            ):
                self._finish(endings.nobody_there(limit, self.round))
                return
        self.rounds.wake(now)
        self._maybe_close()
        if self.phase is Phase.GATHERING and now >= self._gather_until:
            self._maybe_start(now)
            if self.phase is Phase.GATHERING:
                ready, wanted = self.membership.n_ready, self.plan.code.n_workers
                self._finish(endings.too_few(ready, wanted, self.needed, self.limits.max_wait_s))

    def _shutdown(self, at_once: bool, reason: str) -> None:
        if at_once:
            self.rounds.abandon()
            self._finish(endings.interrupted(reason))
        elif self.phase is Phase.GATHERING or self.membership.n_ready == 0:
            self._finish(endings.asked(reason))
        else:
            self._stop_after_round = reason

    def _stop_with_nobody_left(self, reason: str) -> None:
        """Everybody was asked to end at once: the open round is over when it can be, or never."""
        if self.rounds.is_open and self.rounds.closed is None:
            self.rounds.abandon()
            self._finish(endings.asked(reason))

    def _finish(self, ending: endings.Ending) -> None:
        self.phase = Phase.FINISHED
        for peer in self.membership.members:
            self._actions.append(Send(peer, Stop(ending.code, ending.reason)))
        self._actions.append(
            Finish(ending.exit_code, ending.reason, self.rounds_done, dict(self.refused))
        )

    def _sign_of_life(self) -> Heartbeat:
        return Heartbeat(self.round, 0.0)

    def _notice(self, level: Level, text: str) -> None:
        self._actions.append(Notice(level, text))


def _norm_limit(plan: RunPlan) -> NormLimit | None:
    multiple = plan.settings.limits.norm_multiple
    return None if multiple is None else NormLimit(multiple, 4 * plan.code.n_workers)
