"""The master without I/O: `Master.handle(event, now) -> actions` is the only way its state changes.

The conductor (`run/conductor.py`) delivers events and carries out actions in order. Deadlines live
in here: after handling, `wake_at` says when the machine wants a `Woke` event at the latest (a
property rather than an action, so that a thousand results do not make a thousand timers).

`EVENTS` and `MESSAGES`, at the end, are the table of what is done about what in which phase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.wire.brief import brief
from erasurehead.wire.messages import (
    Drain,
    Goodbye,
    Handover,
    Heartbeat,
    Hello,
    NeedTask,
    Ready,
    Register,
    Result,
    Stop,
    ToWorker,
)
from erasurehead_master.machine import endings
from erasurehead_master.machine.actions import Action, Evaluate, Finish, Rebuild, SendTask
from erasurehead_master.machine.admission import Admission
from erasurehead_master.machine.events import (
    CutOff,
    Departed,
    Enough,
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
from erasurehead_master.machine.gathering import Gathering
from erasurehead_master.machine.membership import Change, Member, Membership
from erasurehead_master.machine.outbox import Outbox
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.machine.presence import Presence
from erasurehead_master.machine.refit import Refit
from erasurehead_master.machine.table import Phase, Row, always
from erasurehead_master.machine.training import Training


class Master:
    """One run: gathers workers, trains round by round, and ends.

    Parameters
    ----------
    plan: code, scheme and sizes of the run.
    now: the clock's reading at the start.
    first_round: 1, or the round to resume with.
    succeeded: another master goes on with the run if this one is asked to end.
    """

    def __init__(
        self, plan: RunPlan, now: float, first_round: int = 1, *, succeeded: bool = False
    ) -> None:
        self.plan = plan
        self._succeeded = succeeded
        self.phase = Phase.GATHERING
        self.rounds_done = first_round - 1
        settings = plan.settings.membership
        self._out = Outbox()
        self.membership = Membership(plan.code.n_workers, settings.silence_limit_s)
        self.admission = Admission(plan, self.membership, self._out)
        self.training = Training(plan, first_round, self._out)
        self._refit = Refit(plan.settings.refit, first_round - 1)
        self._gathering = Gathering(settings, self.membership, now)
        self._presence = Presence(settings, self.membership, self._out, now)
        self._stop_after_round: str | None = None
        self._stop_by = math.inf
        """When the open round is given up."""
        self.enough: str | None = None
        """Why a run that is resumed has nothing more to do, if it has not."""

    @property
    def epoch(self) -> int:
        """Version of the code: how often it was rebuilt."""
        return self.training.epoch

    @property
    def round(self) -> int:
        """The round that was opened last."""
        return self.training.round

    @property
    def wake_at(self) -> float:
        """When the machine wants to be woken at the latest."""
        times = [self._presence.look_at, self._stop_by]
        if self.training.rounds.wake_at is not None:
            times.append(self.training.rounds.wake_at)
        if self.phase is Phase.GATHERING:
            times.append(self._gathering.wake_at)
        return min(times)

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take one event and return what must be done, in order."""
        if self.phase is Phase.GATHERING and self.round >= self.plan.settings.descent.rounds:
            # A run that was resumed, and had done its last round.
            self._finish(endings.done(self.round))
        elif self.phase is Phase.GATHERING and self.enough is not None:
            self._finish(endings.enough(self.enough))
        if missed_s := self._presence.missed_s(now):
            self._excuse(missed_s, now)
        if self.phase is not Phase.FINISHED:
            EVENTS[type(event)].handler(self.phase)(self, event, now)
        return self._out.take()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return copies of what a checkpoint must hold besides the descent's state."""
        stop = self.training.rounds.stop
        learnt = {f"stop/{k}": np.array(v) for k, v in stop.state().items()}
        placed: dict[str, npt.NDArray[Any]] = {}
        if self.plan.coding.places_by is not None:
            placed["code/probabilities"] = self.plan.coding.places_by.copy()
            placed["code/placed_round"] = np.array(self._refit.placed_round)
        return {
            "code/n_workers": np.array(self.plan.code.n_workers),
            **placed,
            **learnt,
        }

    def go_on_with(self, plan: RunPlan, placed_round: int) -> None:
        """Before any worker is greeted: take the plan that a checkpoint was written with.

        `placed_round` is the round after which its tasks were placed.
        """
        self._adopt(plan, self.epoch)
        self.membership.resize(plan.code.n_workers)
        self._refit.placed_round = placed_round

    def validate(self) -> None:
        """Assert every invariant (on in tests)."""
        self.membership.validate()
        self.training.rounds.validate()
        assert 0 <= self.round <= self.plan.settings.descent.rounds
        if self.phase is Phase.GATHERING:
            assert not self.training.rounds.is_open
        for slot, _ in self.membership.ready_slots():
            assert slot in self.training.supports

    # What peers say

    def _received(self, received: Received, now: float) -> None:
        peer, message = received.peer, received.message
        member = self.membership.hear(peer, now)
        if isinstance(message, Hello):
            self._hello(peer, message, received.key, now)
        elif member is None:
            what = f"a {message.kind} of a peer that is not registered"
            self.admission.refuse(peer, "unknown-peer", what)
            self._out.send(peer, Register())
        else:
            MESSAGES[type(message)].handler(self.phase)(self, member, message, now)

    def _hello(self, peer: bytes, hello: Hello, key: str | None, now: float) -> None:
        known = peer in self.membership.members
        change = self.admission.greet(peer, hello, key, now)
        if change is None:
            return
        self._apply(change, now)
        member = self.membership.members.get(peer)
        if member is not None:  # else a newer process has its place
            self.admission.welcome(member, self.round, key, known=known)

    def _ready_to_start(self, member: Member, ready: Ready, now: float) -> None:
        if self._loaded(member, ready, now):
            self._maybe_start(now)

    def _ready_to_join(self, member: Member, ready: Ready, now: float) -> None:
        if self._loaded(member, ready, now):
            self.training.join(member)

    def _loaded(self, member: Member, ready: Ready, now: float) -> bool:
        """Return whether a member has loaded the rows of its slot."""
        if ready.epoch < self.epoch:
            self.training.stale += 1
            return False
        fault = self.admission.fault_of(member, ready, self.epoch)
        if fault is not None:
            self._apply_if_any(self.admission.blame(member, fault), now)
            return False
        assert member.slot is not None
        member.ready = True
        self._presence.note(now)
        self.training.loaded(member.slot, ready.support)
        return True

    def _need_task(self, member: Member, need: NeedTask, now: float) -> None:
        slot = member.slot
        if (
            slot is None
            or need.epoch != self.epoch
            or need.task not in self.plan.tasks_of(slot)
            or need.chunk >= self.plan.n_chunks(need.task)
        ):
            what = f"a wish for task {need.task}, from {member.called}"
            self.admission.refuse(member.peer, "wrong-slot", what)
            return
        chunks = self.plan.n_chunks(need.task)
        rows = self.plan.chunk_range(need.task, need.chunk)
        self._out.add(SendTask(member.peer, self.epoch, need.task, need.chunk, chunks, rows))

    def _heartbeat(self, member: Member, beat: Heartbeat, now: float) -> None:
        self._out.send(member.peer, Heartbeat(self.round, 0.0))
        if member.slot is None:
            return
        if member.ready:
            self.training.catch_up(member, beat.round, now)
        else:
            # ASSIGN or READY may have been lost. Resending it is harmless to a worker that is
            # still loading.
            self._assign(member)

    def _result(self, member: Member, result: Result, now: float) -> None:
        slot = member.slot
        for blamed, fault in self.training.result(member, result, now):
            if self.membership.members.get(blamed.peer) is blamed:
                self._apply_if_any(self.admission.blame(blamed, fault), now)
            if (
                fault.reason == "non-finite"
                and slot is not None
                and self.training.most_are_not_finite(slot, result.round)
            ):
                self._stop_at_once(endings.most_diverged(self.round))
                return

    def _drain(self, member: Member, drain: Drain, now: float) -> None:
        self._apply(self.admission.drain(member, drain, now), now)

    def _goodbye(self, member: Member, goodbye: Goodbye, now: float) -> None:
        self._apply(self.admission.goodbye(member, goodbye), now)

    # What happens to peers

    def _garbage(self, garbage: Garbage, now: float) -> None:
        self._apply_if_any(self.admission.garbage(garbage), now)

    def _turned_away(self, away: TurnedAway, now: float) -> None:
        self.admission.refused[away.reason] += 1

    def _unreachable(self, unreachable: Unreachable, now: float) -> None:
        """A send failed; the peer keeps its slot until the silence limit, but not this round."""
        member = self.membership.members.get(unreachable.peer)
        if self._presence.may_be_cut_off(now):
            return  # its heartbeat brings it the round again, or its silence frees its slot
        if member is not None and member.slot is not None:
            self.training.lose([member.slot], now)
            self.training.close_if_over()

    def _departed(self, gone: Departed, now: float) -> None:
        self._out.notice("warning", f"worker {brief(gone.name)} {gone.why}")
        if gone.last and self._stop_after_round is None:  # no worker is left that could come back
            self.training.rounds.abandon()
            self._finish(endings.nobody_left(self.round))
            return
        member = self.membership.named(gone.name)
        if member is not None:
            self._apply(self.membership.leave(member.peer), now)
        elif gone.last and self._stop_after_round is not None:
            self._stop_with_nobody_left(self._stop_after_round)

    def _cut_off(self, cut: CutOff, now: float) -> None:
        self._apply_if_any(self.admission.cut_off(cut), now)

    def _apply_if_any(self, change: Change | None, now: float) -> None:
        if change is not None:
            self._apply(change, now)

    def _apply(self, change: Change, now: float) -> None:
        """Carry a membership change into the round and to the peers."""
        for old in change.replaced:
            reason = f"a newer process took the place of worker {old.called}"
            self._out.send(old.peer, Stop("replaced", reason))
            self._out.notice("info", reason)
        self.training.lose(change.vacated, now)
        for member in change.assigned:
            self._assign(member)
        self._presence.note(now)
        self.training.close_if_over()
        if self._stop_after_round is not None and not self.membership.anybody_answers:
            self._stop_with_nobody_left(self._stop_after_round)
        if self.phase is Phase.GATHERING and self.epoch > 0:
            self._maybe_start(now)  # a worker that has left is not waited for

    def _assign(self, member: Member) -> None:
        assert member.slot is not None
        self._out.send(member.peer, self.plan.assign(member.slot, self.epoch))

    # Rounds

    def _maybe_start(self, now: float) -> None:
        if not self._gathering.enough(now):
            return
        self.phase = Phase.TRAINING
        ready, slots = self.membership.ready_slots(), self.membership.n_slots
        if len(ready) < slots:
            self._out.notice("warning", f"starting with {len(ready)} of {slots} workers")
        self.training.open(ready, now)

    def _wanted(self, wanted: Wanted, now: float) -> None:
        self.training.rounds.want(wanted.groups)

    def _stepped(self, stepped: Stepped, now: float) -> None:
        diverged = stepped.diverged
        if diverged is not None:
            self.rounds_done = self.round - 1
            self._finish(endings.diverged(diverged))
            return
        self.rounds_done = self.round
        descent = self.plan.settings.descent
        enough = stepped.enough
        last = self.round >= descent.rounds or enough is not None
        if last or self.round % descent.evaluate_every_rounds == 0:
            self._out.add(Evaluate(self.round))
        if enough is not None:
            self._finish(endings.enough(enough))
        elif last:
            self._finish(endings.done(self.round))
        elif self._stop_after_round is not None:
            self._finish(endings.asked(self._stop_after_round))
        elif not self._refitted(now):
            self.training.open(self.membership.ready_slots(), now)

    def _refitted(self, now: float) -> bool:
        """Between two rounds: go on with another code if one is due."""
        n_members = self.membership.n_staying
        found = self._refit.look(self.plan, self.training.session, n_members, self.round, now)
        if found is None:
            return False
        self._out.add(found.notice)
        if found.rebuild is None:
            return False
        if found.keeps_slots:
            seated = self.membership.reload()
        else:
            seated = self.membership.resize(found.rebuild.plan.code.n_workers)
        self._rebuild(found.rebuild, seated, now)
        return True

    def _rebuild(self, rebuild: Rebuild, seated: Iterable[Member], now: float) -> None:
        """Go on with another code when all workers with a slot have loaded its rows."""
        self._adopt(rebuild.plan, self.epoch + 1)
        self._refit.placed_round = self.round
        self._out.add(rebuild)
        self.phase = Phase.GATHERING
        self._gathering.again(now)
        self._presence.reset(now)
        for member in seated:
            self._assign(member)

    def _adopt(self, plan: RunPlan, epoch: int) -> None:
        self.plan = plan
        self.training.adopt(plan, epoch)

    # Time, and the end

    def _woke_in_gathering(self, woke: Woke, now: float) -> None:
        self._give_up_silent(now)
        if self.phase is Phase.GATHERING and self._gathering.over(now):
            self._maybe_start(now)
            if self.phase is Phase.GATHERING and self._gathering.in_vain(now):
                self._finish(self._gathering.too_few())
            self._gathering.wait_on()
        if self.phase is Phase.GATHERING and (word := self._gathering.word(now)) is not None:
            self._out.notice("info", word)

    def _woke_in_training(self, woke: Woke, now: float) -> None:
        looked = self._give_up_silent(now)
        if self.phase is Phase.TRAINING and now >= self._stop_by:
            assert self._stop_after_round is not None
            self._stop_at_once(endings.asked(self._stop_after_round))
        elif self.phase is Phase.TRAINING and looked and self._presence.empty_too_long(now):
            self._finish(endings.nobody_there(self._presence.empty_limit_s, self.round))
        else:
            self.training.wake(now)

    def _excuse(self, missed_s: float, now: float) -> None:
        """Nobody is judged by time in which the master itself did not run."""
        self._presence.excuse(missed_s, now)
        self._gathering.excuse(missed_s)
        self.training.rounds.excuse(missed_s)
        self._stop_by += missed_s
        if missed_s > self.membership.silence_limit_s:
            self._out.notice(
                "warning",
                f"this process did not run for {missed_s:.1f} s; silence is counted from now on",
            )

    def _give_up_silent(self, now: float) -> bool:
        """Let silent members go if it is time to look for them; return whether it was."""
        due = self._presence.due(now)
        if due:
            for member in self.membership.silent(now):
                self._apply(self._presence.give_up(member, now), now)
        return due

    def _shut_down_in_gathering(self, wish: Shutdown, now: float) -> None:
        ending = endings.interrupted if wish.interrupted else endings.asked
        self._finish(ending(wish.reason))

    def _shut_down_in_training(self, wish: Shutdown, now: float) -> None:
        if wish.interrupted:
            self._stop_at_once(endings.interrupted(wish.reason))
        elif self._stop_after_round is not None or not self.membership.anybody_answers:
            self._stop_at_once(endings.asked(wish.reason))
        else:
            self._stop_after_round = wish.reason
            self._stop_by = now + self.plan.settings.membership.drain_s

    def _enough(self, enough: Enough, now: float) -> None:
        self._stop_at_once(endings.enough(enough.reason))

    def _stop_with_nobody_left(self, reason: str) -> None:
        """All processes are to end at once: the open round is over when it can be, or never."""
        if self.training.waits:
            self._stop_at_once(endings.asked(reason))

    def _stop_at_once(self, ending: endings.Ending) -> None:
        self.training.rounds.abandon()
        self._finish(ending)

    def _finish(self, ending: endings.Ending) -> None:
        self.phase = Phase.FINISHED
        farewell: ToWorker = Stop(ending.code, ending.reason)
        if ending.handover and self._succeeded:
            farewell = Handover(ending.reason)
        for peer in self.membership.members:
            self._out.send(peer, farewell)
        refused = dict(self.admission.refused)
        self._out.add(Finish(ending.exit_code, ending.reason, self.rounds_done, refused))

    def _no_round(self, event: Event, now: float) -> None:
        raise RuntimeError(f"{event} came while no round is open")


EventHandler = Callable[[Master, Any, float], None]
MessageHandler = Callable[[Master, Member, Any, float], None]

EVENTS: Mapping[type, Row[EventHandler]] = {
    Received: always(Master._received),
    Garbage: always(Master._garbage),
    TurnedAway: always(Master._turned_away),
    Unreachable: always(Master._unreachable),
    Departed: always(Master._departed),
    CutOff: always(Master._cut_off),
    Wanted: Row(Master._no_round, Master._wanted),
    Woke: Row(Master._woke_in_gathering, Master._woke_in_training),
    Stepped: Row(Master._no_round, Master._stepped),
    Enough: always(Master._enough),
    Shutdown: Row(Master._shut_down_in_gathering, Master._shut_down_in_training),
}

MESSAGES: Mapping[type, Row[MessageHandler]] = {
    Ready: Row(Master._ready_to_start, Master._ready_to_join),
    NeedTask: always(Master._need_task),
    Heartbeat: always(Master._heartbeat),
    Result: always(Master._result),
    Drain: always(Master._drain),
    Goodbye: always(Master._goodbye),
}
"""Of members. A HELLO may come from any peer; from strangers the master takes nothing else."""
