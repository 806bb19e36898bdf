"""Running one trial, with processes and on a virtual clock, and what is kept of both."""

from __future__ import annotations

import json
import signal
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.datasets.store import Store
from erasurehead.process.durable import replace_file
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.runs import Run
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console.recorded_run import slug
from erasurehead_cli.reproduce.beyond import grid
from erasurehead_cli.reproduce.beyond.earlier import Earlier, kept_models
from erasurehead_cli.reproduce.beyond.grid import Trial
from erasurehead_cli.reproduce.beyond.optimum import Gaps, kept_gaps, read_json
from erasurehead_cli.reproduce.machine import CpuMeter
from erasurehead_local.cluster import LocalCluster
from erasurehead_local.train import plan_here, run_planned
from erasurehead_master.keep.resume import is_cut_short
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.virtual_run import run_virtually, worker_name

MARKS = (1e-2, 1e-3)
"""Shares of the way from a model of zeros that are left."""

TRACE_ROUNDS = 512

SOON_S = 1e-9
"""All workers are there at time 0, and the first round is open then."""


@dataclass
class Reached:
    """When a trial reached the marks.

    Attributes
    ----------
    marks: for each mark that was reached, round and seconds.
    rounds, wall_s: of the whole run.
    left: the gap of the last model that was looked at.
    other_cores: mean cores that other work used; None: not known.
    build: which earlier build has run it; empty: this one.
    """

    marks: list[tuple[int, float]] = field(default_factory=list)
    rounds: int = 0
    wall_s: float = 0.0
    left: float = 1.0
    other_cores: float | None = None
    build: str = ""

    def seconds(self, mark: int) -> float | None:
        """Return when a mark was reached."""
        return self.marks[mark][1] if mark < len(self.marks) else None


def reached_in(gaps: list[float], closed_s: list[float]) -> list[tuple[int, float]]:
    """Return round and seconds of each mark that was reached."""
    found = []
    for mark in MARKS:
        below = [i for i, gap in enumerate(gaps) if gap <= mark]
        if below:
            found.append((below[0] + 1, closed_s[below[0]]))
    return found


def as_good_as_next(
    gaps: Mapping[int, float], closed_s: Mapping[int, float]
) -> tuple[list[float], list[float]]:
    """Return a gap for each round up to the last that has one, and when it closed.

    A round without one has that of the next that has.
    """
    at = sorted(gaps)
    rounds = range(1, at[-1] + 1) if at else ()
    return [gaps[at[bisect_left(at, t)]] for t in rounds], [closed_s[t] for t in rounds]


class Laboratory:
    """Where trials are run, and their results kept.

    Parameters
    ----------
    out: the root directory.
    time_scale: delays are multiplied by it.
    earlier: runs the trials of an earlier build; None: they are not run.
    """

    def __init__(self, out: Path, time_scale: float, earlier: Earlier | None = None) -> None:
        self.out = out
        self.time_scale = time_scale
        self.earlier = earlier
        self._at_hand: tuple[str, Store, Gaps] | None = None

    def store(self, name: str) -> Path:
        """Return where a data set is prepared."""
        return self.out / "stores" / name

    def earlier_store(self, name: str) -> Path:
        """Return where the earlier build has prepared it: formats differ."""
        assert self.earlier is not None
        return self.out / "earlier" / self.earlier.build / name

    def result(self, trial: Trial, kind: str) -> Reached | None:
        """Return what is kept of a trial, its ``run`` or its ``ideal``; None: nothing.

        Raises
        ------
        DataError: the file is damaged.
        """
        file = self._file(trial, kind)
        if not file.exists():
            return None
        held: dict[str, Any] = dict(read_json(file))
        if held.pop("settings", None) != self._told(trial):
            return None  # of other settings: it is run again
        held["marks"] = [(int(at), float(s)) for at, s in held["marks"]]
        reached = Reached(**held)
        if self.earlier is not None and reached.build not in ("", self.earlier.build):
            return None
        return reached

    def keep(self, trial: Trial, kind: str, reached: Reached) -> None:
        """Keep what a trial has reached."""
        file = self._file(trial, kind)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"settings": self._told(trial), **vars(reached)}) + "\n"
        replace_file(file, lambda out: out.write(text.encode("ascii")))

    def run(self, trial: Trial) -> Reached | None:
        """Run a trial with processes; None: it was interrupted.

        Each model is put aside when its round is over, and rated when the run is.
        """
        if trial.contender.earlier:
            return self._run_earlier(trial)
        store, gaps = self._opened(trial)
        planned = plan_here(self.settings(trial), store)
        models: list[FloatArray] = []
        deaths = _Deaths(trial)
        watch = _Watch()

        def put_aside(model: FloatArray) -> Iterator[dict[str, float] | None]:
            models.append(model.copy())
            yield {}

        meter = CpuMeter()
        summary = run_planned(planned, [watch, deaths], None, deaths.attach, rating=put_aside)
        use = meter.read()
        if is_cut_short(planned.plan.settings, summary):
            return None
        found = gaps.until(models, MARKS[-1])
        return Reached(
            reached_in(found, watch.closed_s),
            summary.rounds,
            summary.wall_s,
            found[-1] if found else 1.0,
            use.other_cores,
        )

    def _run_earlier(self, trial: Trial) -> Reached | None:
        """Let the earlier build run a trial."""
        assert self.earlier is not None
        ours, gaps = self._opened(trial)
        path, name = self.earlier_store(trial.data_set.name), trial.data_set.name
        store = Store.open(path)
        if store.digest != ours.digest:
            file = self.out / "beyond" / name / "optimum-earlier.npz"
            gaps = kept_gaps(store, trial.data_set.l2, file)
        written = self._written(trial)
        told = ("scheme", "optimizer", "step", "workers", "rounds", "l2", "seed", "delay")
        with TemporaryDirectory(dir=self.out) as folder:
            out = Path(folder) / "run"
            if not self.earlier.train({"store": path} | {k: written[k] for k in told}, out):
                return None
            run, models = Run.open(out), kept_models(out)
            closed_s = {record.round: record.closed_s for record in run.records}
        found = gaps.until(list(models.values()), MARKS[-1])
        by_round = dict(zip(models, found, strict=False))
        assert run.summary is not None
        return Reached(
            reached_in(*as_good_as_next(by_round, closed_s)),
            run.summary.rounds,
            run.summary.wall_s,
            found[-1] if found else 1.0,
            build=self.earlier.build,
        )

    def ideal(self, trial: Trial) -> Reached:
        """Run a trial on a virtual clock: drawn delays alone take time."""
        store, gaps = self._opened(trial)
        watch = _Watch()
        found: list[float] = []

        def rate(model: FloatArray) -> dict[str, float]:
            found.extend(gaps.of(model[np.newaxis]).tolist())
            return {}

        def kill(cluster: VirtualCluster) -> None:
            dying = {worker_name(slot) for slot in dead_slots(trial)}
            for worker in cluster.workers.values():
                if worker.name in dying:
                    cluster.clock.after(SOON_S, partial(cluster.depart, worker))

        summary = run_virtually(
            # Here the true gap ends it.
            make_plan(self.settings(trial, until=self._most(trial)), store, None),
            store,
            [watch],
            0.0,
            rate=rate,
            enough=lambda record: found[-1] <= MARKS[-1],
            disturb=kill,
        )
        return Reached(reached_in(found, watch.closed_s), summary.rounds, summary.wall_s, found[-1])

    def settings(self, trial: Trial, **others: str) -> RunSettings:
        """Return what a trial is run with, but for some others."""
        return load(RunSettings, {**self._written(trial), **others}, environment={})

    def _most(self, trial: Trial) -> str:
        return f"time:{trial.most_s * self.time_scale:g}s"

    def _written(self, trial: Trial) -> Mapping[str, Any]:
        contender = trial.contender
        return {
            "store": str(self.store(trial.data_set.name)),
            "scheme": contender.scheme,
            "optimizer": contender.optimizer,
            "step": "auto",
            "workers": grid.N_WORKERS,
            "rounds": trial.rounds,
            "until": [
                f"gap:{trial.data_set.sure * MARKS[-1]:g}",
                self._most(trial),
            ],
            "l2": trial.data_set.l2,
            "seed": trial.seed,
            "delay": self._delay(trial),
            "evaluate_every_rounds": 1,
        }

    def _delay(self, trial: Trial) -> str:
        mean_s = grid.MEAN_DELAY_S * self.time_scale
        if trial.manner != "slow":
            return f"exponential:mean_s={mean_s:g}"
        rng = np.random.default_rng((0xBE40, trial.seed))
        slower = np.ones(grid.N_WORKERS)
        slower[rng.permutation(grid.N_WORKERS)[: grid.SLOW_WORKERS]] = grid.SLOWER
        delays_s = mean_s * slower * rng.exponential(size=(TRACE_ROUNDS, grid.N_WORKERS))
        path = self.out / "traces" / f"slow-{trial.seed}-{self.time_scale:g}.npz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, lambda file: np.savez(file, delays_s=delays_s))
        return f"trace:file={path}"

    def _told(self, trial: Trial) -> dict[str, Any]:
        """Return what must be the same for a result to hold, wherever it lies."""
        written = dict(self._written(trial))
        return written | {"store": trial.data_set.name, "delay": Path(written["delay"]).name}

    def _file(self, trial: Trial, kind: str) -> Path:
        name = slug(trial.contender.title)
        folder = self.out / "beyond" / trial.data_set.name / trial.manner / name
        return folder / f"seed-{trial.seed}-{kind}.json"

    def _opened(self, trial: Trial) -> tuple[Store, Gaps]:
        """Return the rows and the gaps of a trial's data set, kept for the next."""
        name = trial.data_set.name
        if self._at_hand is None or self._at_hand[0] != name:
            store = Store.open(self.store(name))
            file = self.out / "beyond" / name / "optimum.npz"
            self._at_hand = name, store, kept_gaps(store, trial.data_set.l2, file)
        return self._at_hand[1:]


def dead_slots(trial: Trial) -> list[int]:
    """Return the slots whose workers die in the first round."""
    if trial.manner != "dead":
        return []
    rng = np.random.default_rng((0xDEAD, trial.seed))
    return sorted(rng.permutation(grid.N_WORKERS)[: grid.DEAD_WORKERS].tolist())


class _Watch(Observer):
    """Keeps when rounds closed."""

    def __init__(self) -> None:
        self.closed_s: list[float] = []

    def round_over(self, record: RoundRecord) -> None:
        self.closed_s.append(record.closed_s)


class _Deaths(Observer):
    """Kills a trial's workers when the first round opens."""

    def __init__(self, trial: Trial) -> None:
        self._slots = dead_slots(trial)
        self._cluster: LocalCluster | None = None

    def attach(self, cluster: LocalCluster) -> None:
        """Take the cluster whose workers are started."""
        self._cluster = cluster

    def started(self, start: RunStart) -> None:
        assert self._cluster is not None
        for slot in self._slots:
            self._cluster.signal(f"local-{slot}", signal.SIGKILL)
