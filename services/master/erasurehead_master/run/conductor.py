"""Between the machine, which decides, and a shell, which sends: what is decided is done here.

Real master and simulator both run this class; they differ in the post and in the clocks that they
hand in. No I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic

from erasurehead.arrays import FloatArray
from erasurehead.finishing.course import Step
from erasurehead.records import Observer, RoundRecord, RunSummary
from erasurehead.wire.messages import Assign, ToWorker
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
from erasurehead_master.machine.events import Enough, Event, Stepped, Unreachable, Wanted
from erasurehead_master.machine.machine import Master
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.broadcast import Broadcast
from erasurehead_master.run.descent import Descent, StepOutcome
from erasurehead_master.run.finishing import Finishing
from erasurehead_master.run.ledger import NO_TIMES, RoundLedger, RunTimes
from erasurehead_master.run.naming import Naming
from erasurehead_master.run.pending import PendingEvaluation
from erasurehead_master.run.reporting import Reporter
from erasurehead_master.run.seams import Clock, Keeper, Parcel, Post, Rating, RowReader, Usage


class Conductor(Generic[Parcel]):
    """Runs the machine of one run and carries out its actions.

    The shell hands in every event, wakes the machine at `wake_at`, lets `work` be done when there
    is nothing else to do, and concludes when there is a `finish`.

    Parameters
    ----------
    machine: decides; fresh, or restored.
    descent: holds the model.
    post: how messages reach workers.
    clock: of the run.
    stopwatch: for the master's own phases; a simulator's stands still.
    observers: watch the run; called in order.
    rating: rates models on the test rows; None: there are none.
    read_rows: for workers without the store.
    finishing: says when the run is done.
    keeper: takes checkpoints; None: the run has no directory.
    begun: the clock when the work for this run began.
    resumed: what the run had taken where it was interrupted.
    """

    def __init__(
        self,
        machine: Master,
        descent: Descent,
        post: Post[Parcel],
        clock: Clock,
        stopwatch: Clock,
        observers: Sequence[Observer],
        *,
        rating: Rating | None,
        read_rows: RowReader,
        finishing: Finishing,
        keeper: Keeper | None = None,
        begun: float = 0.0,
        resumed: RunTimes = NO_TIMES,
    ) -> None:
        self.plan: RunPlan = machine.plan
        """The plan in force: code and tasks change when the code is rebuilt."""
        self.finish: Finish | None = None
        """How the run ends, once it does."""
        self._machine = machine
        self._descent = descent
        self._post = post
        self._clock = clock
        self._stopwatch = stopwatch
        self._rating = rating
        self._read_rows = read_rows
        self._finishing = finishing
        self._keeper = keeper
        self._begun = begun
        self._times = resumed
        self._reporter = Reporter(observers, clock)
        self._naming = Naming()
        self._named = -1
        """How often slots had changed hands when their workers were told last."""
        self._ledger = RoundLedger(descent, stopwatch, resumed)
        self._evaluation = PendingEvaluation()
        self._evaluation_s = resumed.evaluation_s
        """Seconds for which evaluations kept the master busy between rounds."""
        self._actions: deque[Action] = deque()
        self._closed: RoundRecord | None = None
        """Of the round whose step the machine is told of."""
        self._broadcast = Broadcast(descent, post, self.plan.settings.run.seed)

    @property
    def wake_at(self) -> float:
        """When the machine wants a `Woke` at the latest."""
        return self._machine.wake_at

    @property
    def model(self) -> FloatArray:
        """The model that the run leaves: the one after the last step, or the best one."""
        best = self._finishing.best
        return self._descent.model if best is None else best.model

    def handle(self, event: Event) -> None:
        """Let the machine take an event, and do what it wants done."""
        actions = self._actions
        actions.extend(self._machine.handle(event, self._clock()))
        while actions:
            self._carry_out(actions.popleft())

    @property
    def has_work(self) -> bool:
        """True while a model is to be rated, or a method may look ahead."""
        return self._descent.has_work or bool(self._evaluation)

    def work(self) -> None:
        """Do a piece of what can wait; it takes about as long as a message."""
        if self._descent.has_work:
            self._descent.work()
        else:
            self._evaluate_on()

    def finish_work(self) -> None:
        """Do all that can wait but must be done: it did not fit into the waiting, and costs time
        now."""
        if self._evaluation:
            start = self._clock()
            while self._evaluation:
                self._evaluate_on()
            self._evaluation_s += self._clock() - start

    def tell_of_checkpoints(self) -> None:
        """Tell what became of checkpoints since the last call."""
        if self._keeper is not None:
            self._reporter.checkpointed(self._keeper.outcomes())

    def conclude(self, usage: Callable[[], Usage]) -> RunSummary:
        """Tell how the run has ended, when all else is told and written.

        `usage` is asked what the process has used.
        """
        finish = self.finish
        assert finish is not None
        self.finish_work()
        for level, text in self._naming.rest():
            self._reporter.notice(level, text)
        if self._keeper is not None:
            self._times = replace(self._times, evaluation_s=self._evaluation_s)
            last = self._keeper.finish(finish.rounds, self._times, self._clock())
            self._reporter.checkpointed(last)
        if self._reporter.start is None and finish.rounds:
            self._tell_of_what_was_done(finish.rounds)
        best = self._finishing.best
        met = self._finishing.met
        wall_s = self._times.closed_s
        if self._ledger.origin is not None:
            wall_s = self._clock() - self._ledger.origin
        used = usage()
        summary = RunSummary(
            reason=finish.reason,
            exit_code=finish.exit_code,
            rounds=finish.rounds,
            wall_s=wall_s,
            rounds_s=self._ledger.rounds_s,
            evaluation_s=self._evaluation_s,
            metrics=self._evaluation.metrics if best is None else dict(best.metrics),
            refused=dict(finish.refused.items()),
            peak_memory_bytes=used.peak_memory_bytes,
            cpu_s=used.cpu_s,
            met=met.condition if met is not None and met.reason == finish.reason else "",
            gap=self._finishing.course.gap,
            verdict=self._finishing.verdict(
                self.plan.settings.descent.rounds,
                finish.exit_code,
                self._descent.column_spread(),
                self._descent.missing,
            ),
        )
        of_round = finish.rounds if best is None else best.round
        self._reporter.finished(self.model, of_round, summary)
        return summary

    # The machine's actions

    def _ask_machine(self, event: Event) -> None:
        self._actions.extend(self._machine.handle(event, self._clock()))

    def _carry_out(self, action: Action) -> None:
        match action:
            case Fold():
                self._ledger.fold(action)
            case SendStep():
                self._send_step(action)
            case CloseRound():
                self._close(action)
            case OpenRound(round_):
                self._open(round_)
            case Send(peer, message):
                self._send(peer, message)
            case SendTask(peer):
                self._send(peer, self._read_rows(action))
            case FoldLate():
                self._ledger.fold_late(action)
            case Refused(peer):
                self._post.refused(peer)
            case Evaluate():
                self._evaluate()
            case Rebuild(plan, keep_memory):
                self.plan = plan
                self._broadcast.rebuild()
                self._descent.rebuild(plan, keep_memory=keep_memory)
            case Notice(level, text):
                self._reporter.notice(level, text)
            case Finish():
                self.finish = action

    def _send(self, peer: bytes, message: ToWorker) -> None:
        if isinstance(message, Assign):
            self._broadcast.assigned(peer)
        if not self._post.send(peer, self._post.wrap(message)):
            self._ask_machine(Unreachable(peer))

    def _open(self, round_: int) -> None:
        now = self._clock()
        if self._reporter.start is None:
            self._announce(round_, now)
        wanted = self._ledger.open(now)
        if wanted:
            self._ask_machine(Wanted(wanted))
        self._broadcast.open()

    def _send_step(self, step: SendStep) -> None:
        start = self._stopwatch()
        unreachable = self._broadcast.send(step)
        self._ledger.encoded(self._stopwatch() - start)
        for peer in unreachable:
            self._ask_machine(Unreachable(peer))

    def _close(self, action: CloseRound) -> None:
        """Decode, step, let the machine open the next round, then report this one."""
        if self._finishing.looks_at_metrics:
            # Else it would be chance whether a good model is seen before or after this step.
            self.finish_work()
            if self.finish is not None:
                return
        record, outcome = self._ledger.close(
            action, self.plan.code, self._clock, self._post.traffic
        )
        record = self._with_workers(record)
        self.finish_work()
        enough = None
        if outcome.diverged is None:
            record = self._stepped(record, outcome)
            met = self._finishing.met
            wish = self._reporter.moved(record.round, lambda: self._descent.model)
            enough = wish if met is None else met.reason
        self._times = RunTimes(record.closed_s, self._ledger.rounds_s, self._evaluation_s)
        if self._keeper is not None and outcome.diverged is None:
            self._keeper.closed(action.round, self._times, self._clock())
        self._closed = record
        stepped = Stepped(outcome.diverged, enough)
        # The next round is opened before this one is reported: no worker waits for a reporter.
        for follow in self._machine.handle(stepped, self._clock()):
            self._carry_out(follow)
        # Without a step it is no round of the run; the run's end says why.
        if outcome.diverged is None and not self._evaluation:
            self._report(record)

    def _stepped(self, record: RoundRecord, outcome: StepOutcome) -> RoundRecord:
        """Return the record with what the course of the run says of the round."""
        for slots in dict.fromkeys(outcome.given_up):  # those of several tasks are told of once
            named = f"slot{'s' if len(slots) > 1 else ''} {', '.join(map(str, sorted(slots)))}"
            left_out = f"the rows of {named} are left out until a worker sends their gradient"
            self._reporter.notice("warning", left_out)
        self._finishing.step(
            Step(
                record.round,
                record.closed_s,
                outcome.train_loss,
                outcome.decrease,
                outcome.rejected,
                outcome.slope,
            )
        )
        return replace(record, gap=self._finishing.course.gap)

    def _evaluate_on(self) -> None:
        """Do a piece of an evaluation, and report the round once it has its metrics."""
        record = self._evaluation.work()
        if record is not None:
            self._finishing.evaluated(record.round, record.metrics)
            self._report(record)
            met = self._finishing.met
            if met is not None and self.finish is None:
                self.handle(Enough(met.reason))

    def _evaluate(self) -> None:
        """Let the record of the round that was closed wait for its metrics."""
        assert self._closed is not None
        if self._rating is not None:
            model = self._descent.model.copy()
            self._finishing.rating(model)
            self._evaluation.begin(self._closed, self._rating(model))

    # What observers are told

    def _announce(self, round_: int, now: float) -> None:
        step = str(self._descent.size)
        chosen = self._descent.chosen
        start = self.plan.start(chosen.optimizer, step, round_, now - self._begun)
        self._reporter.started(start)
        if chosen.reason:
            self._reporter.notice("info", f"optimizer {chosen.optimizer}, for {chosen.reason}")

    def _with_workers(self, record: RoundRecord) -> RoundRecord:
        """Return the record with the names of workers if some have changed."""
        membership = self._machine.membership
        if membership.changes == self._named:
            return record
        self._named = membership.changes
        return replace(record, workers=membership.names)

    def _report(self, record: RoundRecord) -> None:
        self._reporter.round_over(record)
        for level, text in self._naming.of(record, exact=self.plan.exact):
            self._reporter.notice(level, text)
        if self._keeper is not None:
            self._keeper.reported(record.round)

    def _tell_of_what_was_done(self, rounds: int) -> None:
        """The model of a run that was resumed, and had no round to do any more."""
        self._announce(rounds, self._clock())
        if self._rating is not None:
            self._evaluation.rate(self._rating(self.model))
