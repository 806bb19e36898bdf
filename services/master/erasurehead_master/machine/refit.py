"""When the code no longer fits the workers: other sizes, other straggler probabilities. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead.errors import UsageError
from erasurehead.records import Level
from erasurehead.schemes.regrouping import is_due, remember_alike, same_tasks
from erasurehead.schemes.session import Session
from erasurehead.settings.groups import RefitSettings
from erasurehead_master.machine.actions import Notice, Rebuild
from erasurehead_master.machine.plan import RunPlan


@dataclass(frozen=True, slots=True)
class Refitting:
    """What comes of a look at the code.

    Attributes
    ----------
    notice: what to tell.
    rebuild: the code to go on with; None: it stays as it is.
    keeps_slots: every worker keeps its slot, so that what was learnt of the slot stays true.
    """

    notice: Notice
    rebuild: Rebuild | None = None
    keeps_slots: bool = False


class Refit:
    """Looks between two rounds whether another code is due.

    Parameters
    ----------
    settings: whether and after how long.
    placed_round: the round after which tasks were placed.
    """

    def __init__(self, settings: RefitSettings, placed_round: int) -> None:
        self._settings = settings
        self.placed_round = placed_round
        self._misfit_since: float | None = None
        self._impossible_size: int | None = None

    def look(
        self, plan: RunPlan, session: Session, n_members: int, round_: int, now: float
    ) -> Refitting | None:
        """Return what is due after `round_`, None for nothing.

        `session` is that of the plan's coding; `n_members` counts all registered workers, spares as
        well.
        """
        return self._resize(plan, n_members, now) or self._regroup(plan, session, round_)

    def _resize(self, plan: RunPlan, n_members: int, now: float) -> Refitting | None:
        """Fit the code to the workers there are, once they have stayed so."""
        if not self._settings.elastic:
            return None
        old = plan.code.n_workers
        size = min(n_members, plan.settings.coding.workers)
        if size in (0, old):
            self._misfit_since = None
            return None
        if self._misfit_since is None:
            self._misfit_since = now
        waited = now - self._misfit_since >= self._settings.rebuild_after_s
        if not waited or size == self._impossible_size:
            return None
        self._misfit_since = None
        try:
            resized = plan.resized(size)
        except UsageError as error:
            self._impossible_size = size
            return _told("warning", f"the code stays as it is for {size} workers: {error}")
        self._impossible_size = None
        load = int(resized.code.loads.max())
        what = f"rebuilding the code for {size} workers (was {old}), with load {load}"
        notice = Notice("warning", what)
        return Refitting(notice, Rebuild(resized))

    def _regroup(self, plan: RunPlan, session: Session, round_: int) -> Refitting | None:
        """Place tasks by what was learnt of the slots, once that has settled."""
        coding, waited = plan.coding, round_ - self.placed_round
        known = coding.places_by
        after = self._settings.regroup_after_rounds
        if known is None or not is_due(known, session.learnt.slots, waited, after):
            return None
        self.placed_round = round_
        learnt = session.learnt.slots.probabilities
        try:
            regrouped = plan.placed_by(learnt)
        except UsageError as error:
            return _told("warning", f"tasks stay where they are: {error}")
        if same_tasks(regrouped.code, plan.code):
            return None
        notice = Notice(
            "info",
            f"regrouping after round {round_}: tasks are placed by the straggler probabilities"
            f" learnt, {learnt.min():.2f} to {learnt.max():.2f} (were {known.min():.2f} to"
            f" {known.max():.2f}), and workers load their rows anew",
        )
        rebuild = Rebuild(regrouped, remember_alike(coding, regrouped.coding))
        return Refitting(notice, rebuild, keeps_slots=True)


def _told(level: Level, text: str) -> Refitting:
    return Refitting(Notice(level, text))
