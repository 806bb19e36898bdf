"""Where an interrupted run can go on."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError
from erasurehead.records import RunSummary
from erasurehead.runs import Run, lines_beyond, recorded_rounds
from erasurehead.settings.tree import RunSettings
from erasurehead.words import counted
from erasurehead_master.keep.checkpoint import DIRECTORY, CheckpointDirectory, Snapshot

IDENTITY = (
    ("coding", "scheme"),
    ("coding", "workers"),
    ("coding", "tasks"),
    ("run", "seed"),
    ("straggling", "delay"),
    ("problem", "model"),
    ("problem", "intercept"),
    ("descent", "optimizer"),
    ("descent", "step"),
    ("descent", "batch"),
    ("problem", "l2"),
    ("problem", "l1"),
)
"""Settings that the model depends on: a run cannot go on under others."""


@dataclass(frozen=True)
class ResumePoint:
    """What an interrupted run has left.

    Attributes
    ----------
    snapshot: the state to go on from; None: from the beginning, nothing sound was kept.
    finished: there is nothing more to do.
    notices: what was passed over, for the log.
    """

    snapshot: Snapshot | None
    finished: bool
    notices: tuple[str, ...]

    @property
    def round(self) -> int:
        """The last round that counts."""
        return 0 if self.snapshot is None else self.snapshot.round


def find_resume_point(settings: RunSettings, digest: str) -> ResumePoint | None:
    """Look into the run directory `settings.run.out`; None if no run was begun there.

    `digest` is that of the store of the settings.

    Raises
    ------
    UsageError: the run there was made with other settings or other data.
    DataError: the directory is damaged beyond that.
    """
    directory = settings.run.out
    if directory is None:
        raise UsageError("resuming needs the run's directory: name it with --out")
    if not (directory / "config.yaml").exists():
        return None
    run = Run.open(directory, allow_unfinished=True)
    for group, name in IDENTITY:
        held, wanted = (getattr(getattr(s, group), name) for s in (run.settings, settings))
        if held != wanted:
            before, now = ("its default" if v is None else v for v in (held, wanted))
            raise UsageError(
                f"the run in {directory} was begun with {name}={before}, not {now}; resume it"
                " with its own settings or start another one with --out"
            )
    finished = run.summary is not None and is_done(settings, run.summary)
    last = recorded_rounds(directory)
    checkpoints = CheckpointDirectory(directory / DIRECTORY, settings.checkpoint.keep)
    snapshot, notices = checkpoints.load(last)
    if beyond := lines_beyond(directory, last):
        notices.insert(
            0,
            f"line {last + 1} of {directory / 'rounds.jsonl'} is damaged, so that line and the"
            f" {counted(beyond - 1, 'round')} recorded after it are left out, and made again",
        )
    if snapshot is not None:
        _check_data(settings, digest, snapshot)
    return ResumePoint(snapshot, finished, tuple(notices))


def is_done(settings: RunSettings, summary: RunSummary) -> bool:
    """Return whether a run that has ended has nothing more to do: all the rounds that are asked for
    are done, or a condition that is asked for is met."""
    return summary.rounds >= settings.descent.rounds or summary.met in settings.descent.until


def is_cut_short(settings: RunSettings, summary: RunSummary) -> bool:
    """Return whether somebody ended a run before it was done, by the keyboard or by a signal: it
    says nothing of what it would have reached."""
    if summary.exit_code == EXIT_OK:
        return not is_done(settings, summary)
    return summary.exit_code == EXIT_INTERRUPTED


def _check_data(settings: RunSettings, wanted: str, snapshot: Snapshot) -> None:
    """Raise UsageError if the state was learnt from other data than the store holds now."""
    held = snapshot.part("store").get("digest")
    if held is not None and str(held) != wanted:
        raise UsageError(
            f"the run in {settings.run.out} was begun with other data (digest {held!s:.12}) than"
            f" {settings.problem.store} holds ({wanted:.12}); resume it with its own store or"
            " start another one with --out"
        )
