"""A planned run on what a user hands in, and how it runs."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import disk_usage, rmtree
from typing import Any

from rich.console import Console

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import UsageError
from erasurehead.records import Observer, RunSummary
from erasurehead.runs.tracked import trackers_of
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console.recorded_run import Runner, run_recorded
from erasurehead_face.running.arguments import Settings, settings_from
from erasurehead_face.running.handed import ARRAYS, Handed, hand_in
from erasurehead_face.running.kept import Kept
from erasurehead_face.running.run import Run, class_array, concluded, reopened
from erasurehead_local.cluster import LocalCluster
from erasurehead_local.hatching import Hatching
from erasurehead_local.train import plan_here, run_on, turns_of
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.run.planning import PlannedRun

log = logging.getLogger(__name__)

SHARED_MEMORY = Path("/dev/shm")
ROOM = 2
"""A store of arrays lies in shared memory where this many times its size is free."""

Guarding = Callable[[Path], AbstractContextManager[Path]]
"""Has a folder removed when the context ends."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A planned run, and the arrays that it is on.

    Attributes
    ----------
    handed: None: the run is on a store.
    """

    planned: PlannedRun
    handed: Handed | None

    @classmethod
    def of(
        cls,
        X: Any,
        y: Any,
        given: Settings,
        config: str | Path | None,
        sample_weight: Any = None,
        offset: Any = None,
        test: tuple[Any, Any] | None = None,
        otherwise: Settings | None = None,
    ) -> Problem:
        """Plan what `train` was given.

        Parameters
        ----------
        otherwise: settings that take the place of the defaults.

        Raises
        ------
        UsageError: an argument or the data is wrong.
        """
        if isinstance(X, str | Path):
            beside = {"y": y, "sample_weight": sample_weight, "offset": offset, "test": test}
            extra = [name for name, value in beside.items() if value is not None]
            if extra:
                raise UsageError(
                    f"{extra[0]} is given beside the store {X}, which has its own rows; leave it"
                    " out, or give a matrix for X"
                )
            return cls.on_store(
                settings_from(RunSettings, given, str(X), config, otherwise=otherwise)
            )
        loaded = settings_from(RunSettings, given, ARRAYS, config, otherwise=otherwise)
        handed = hand_in(
            X,
            y,
            model=loaded.problem.model,
            sample_weight=sample_weight,
            offset=offset,
            test=test,
            seed=loaded.run.seed,
        )
        return cls.on(handed, loaded)

    @classmethod
    def on_store(cls, settings: RunSettings) -> Problem:
        """Plan a run on the store of its settings; raises as `of`."""
        return cls(plan_here(settings), None)

    @classmethod
    def on(cls, handed: Handed, settings: RunSettings) -> Problem:
        """Plan a run on arrays; raises as `of`."""
        return cls(PlannedRun.of(settings, handed.store(), None), handed)

    def beginning_with(self, theta: FloatArray) -> Problem:
        """Return the same run with other parameters in its first round, shape (n_parameters,)."""
        plan = replace(self.planned.plan, begins_with=theta)
        return replace(self, planned=replace(self.planned, plan=plan))

    @property
    def settings(self) -> RunSettings:
        """Of the run."""
        return self.planned.plan.settings

    @property
    def classes(self) -> Array | None:
        """What the classes are called, in the order of their labels, shape (classes,); None: labels
        are numbers."""
        if self.handed is not None:
            return self.handed.classes
        return class_array(self.planned.store.manifest.classes)

    @property
    def columns(self) -> tuple[str, ...] | None:
        """What a data frame calls the columns."""
        return None if self.handed is None else self.handed.columns

    @contextmanager
    def on_disk(self) -> Iterator[RunSettings]:
        """Have the rows in a store; yield the settings with where it is."""
        if self.handed is None:
            yield self.settings
            return
        with ExitStack() as stack:
            folder = scratch_folder(self.handed.n_bytes)
            stack.callback(rmtree, folder, ignore_errors=True)
            self.handed.write(folder / ARRAYS)
            yield self.settings.changed(problem={"store": str(folder / ARRAYS)})

    def run_here(self, observers: Sequence[Observer], hatching: Hatching) -> Run:
        """Run to the end with a nursery of its own, in the run's directory if it has one.

        Raises
        ------
        UsageError: the directory holds a run already, or another one than is to go on.
        RunError: it did not do what it was asked for.
        """
        begun, kept = time.monotonic(), Kept()
        with (
            LocalCluster(turns=turns_of(self.planned), hatching=hatching) as cluster,
            self._placed(cluster.guarding) as placed,
        ):

            def here(
                planned: PlannedRun, watching: Sequence[Observer], resume: Snapshot | None = None, /
            ) -> RunSummary:
                return run_on(cluster, planned, watching, resume, begun=begun)

            summary = self._run(placed, here, observers, kept)
        return self._left(summary, kept)

    def run_elsewhere(self, observers: Sequence[Observer], run: Runner) -> Run:
        """Run to the end with workers that `run` has somewhere; raises as `run_here`."""
        kept = Kept()
        with self._placed(_removed_afterwards) as placed:
            summary = self._run(placed, run, observers, kept)
        return self._left(summary, kept)

    def _run(
        self, placed: PlannedRun, run: Runner, observers: Sequence[Observer], kept: Kept
    ) -> RunSummary:
        """Run, and write it to the run's directory, or keep it if there is none."""

        def go(
            planned: PlannedRun, others: Sequence[Observer], resume: Snapshot | None = None, /
        ) -> RunSummary:
            return run(planned, [*others, *observers], resume)

        out = self.settings.run.out
        if out is None:
            return go(placed, [kept, *trackers_of(self.settings, None, log.warning)])
        # What the run tells on the way is logged, too; so nothing is printed here.
        return run_recorded(
            placed,
            go,
            out,
            Console(quiet=True),
            quiet=True,
            column_names=self.columns or (),
            class_type="str" if self.handed is None else self.handed.class_type,
        )

    def _left(self, summary: RunSummary, kept: Kept) -> Run:
        out = self.settings.run.out
        if out is None:
            return concluded(
                kept, self.settings, self.planned.plan.model, self.classes, self.columns
            )
        return reopened(out, summary, self.classes, self.columns)

    def run_on(
        self, cluster: LocalCluster, observers: Sequence[Observer], *, begun: float
    ) -> RunSummary:
        """Run to the end with workers of a nursery, and leave nothing on disk."""
        with self._placed(cluster.guarding) as placed:
            return run_on(cluster, placed, observers, begun=begun)

    @contextmanager
    def _placed(self, guarding: Guarding) -> Iterator[PlannedRun]:
        """Have the rows where worker processes find them; yield the run with where that is."""
        if self.handed is None:
            yield self.planned
            return
        with guarding(scratch_folder(self.handed.n_bytes)) as folder:
            store = self.handed.write(folder / ARRAYS)
            plan = replace(self.planned.plan, digest=store.digest, data_reference=str(store.path))
            yield PlannedRun(plan, store)


@contextmanager
def _removed_afterwards(folder: Path) -> Iterator[Path]:
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def scratch_folder(n_bytes: int) -> Path:
    """Make a temporary folder with room for so much: in shared memory, or else on disk.

    Raises
    ------
    UsageError: it cannot be made.
    """
    fits = SHARED_MEMORY.is_dir() and disk_usage(SHARED_MEMORY).free > ROOM * n_bytes
    name = f"erasurehead-{os.getpid()}-"
    try:
        return Path(tempfile.mkdtemp(prefix=name, dir=SHARED_MEMORY if fits else None))
    except OSError as error:
        raise UsageError(
            f"cannot make a temporary folder for the rows: {error.strerror}; set TMPDIR to a folder"
            f" with room for {n_bytes / 1e6:.0f} MB"
        ) from None
