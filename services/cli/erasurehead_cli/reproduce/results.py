"""The results of the finished cells, each against uncoded and exact coding of the same seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import EXIT_OK
from erasurehead.models import known_metrics
from erasurehead.runs import Run
from erasurehead_cli.reproduce.cells import EXTRA, Extra, Workshop, read_extra
from erasurehead_cli.reproduce.grid import UNCODED, Cell, DataSet
from erasurehead_cli.results.series import read_series

NEAR = 0.005
"""Within this share of what uncoded reaches counts as reached, for the lenient target."""

ROUNDING = 1e-9
"""Exact codes reach uncoded's value up to the order of their sums."""

RAW = ("config.yaml", "rounds.jsonl", "summary.json", EXTRA)


@dataclass(frozen=True)
class Reached:
    """When a value of the metric was first seen, at an evaluation; ideal_s by the delays alone."""

    round: int
    wall_s: float
    ideal_s: float | None


@dataclass(frozen=True, eq=False)
class Measured:
    """One cell.

    Attributes
    ----------
    wall_s: of the whole run, from the first round's opening to the end, evaluations included.
    target, near: the value uncoded had at its last round, and within 0.5 % of it; None if it was
        not reached, or there is no uncoded cell.
    """

    cell: Cell
    extra: Extra
    rounds: int
    wall_s: float
    ready_s: float
    finite: bool
    round_times_s: FloatArray = field(repr=False)
    curve_rounds: list[int] = field(repr=False)
    curve_s: list[float] = field(repr=False)
    curve: list[float] = field(repr=False)
    target: Reached | None = None
    near: Reached | None = None

    @property
    def round_s(self) -> float:
        """Wall clock of a round, nothing left out."""
        return self.wall_s / self.rounds

    @property
    def ideal_round_s(self) -> float | None:
        """Mean of what the drawn delays alone cost."""
        return float(np.mean(self.extra.ideal_s)) if self.extra.ideal_s else None


@dataclass(frozen=True)
class Spread:
    """Median, least and greatest over the seeds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return float(np.median(self.values))


@dataclass(frozen=True)
class Results:
    """Every finished cell, in order, and what they were run with."""

    workshop: Workshop
    measured: tuple[Measured, ...]
    digest: str

    def sets(self, setting: str) -> list[DataSet]:
        """Return the data sets with cells in a setting, in order."""
        return list(dict.fromkeys(m.cell.data_set for m in self._of(setting)))

    def labels(self, data_set: DataSet, setting: str) -> list[str]:
        """Return the schemes run on a data set in a setting, in order."""
        return list(dict.fromkeys(m.cell.label for m in self._of(setting, data_set)))

    def cells(self, data_set: DataSet, setting: str, label: str) -> list[Measured]:
        """Return a scheme's cells, one a seed."""
        return [m for m in self._of(setting, data_set) if m.cell.label == label]

    def spread(
        self,
        data_set: DataSet,
        setting: str,
        label: str,
        value: Callable[[Measured], float | None],
    ) -> Spread | None:
        """Return a value over the seeds; None unless every seed has it."""
        values = [value(m) for m in self.cells(data_set, setting, label)]
        told = tuple(v for v in values if v is not None)
        return Spread(told) if told and len(told) == len(values) else None

    def beside(self, measured: Measured, labels: Iterable[str]) -> list[Measured]:
        """Return cells of other schemes, all else being the same."""
        cell, wanted = measured.cell, set(labels)
        return [
            m
            for m in self._of(cell.setting, cell.data_set)
            if m.cell.seed == cell.seed and m.cell.label in wanted
        ]

    def per_round(self, measured: Measured, label: str) -> float | None:
        """Return another scheme's time of a round over this one's."""
        others = self.beside(measured, [label])
        return others[0].round_s / measured.round_s if others else None

    def to_value(
        self,
        measured: Measured,
        labels: Iterable[str],
        reached: Callable[[Measured], Reached | None],
        clock: Callable[[Reached], float | None] = lambda r: r.wall_s,
    ) -> float | None:
        """Return the time to a value of the fastest of `labels` over this one's."""
        mine = reached(measured)
        own_s = None if mine is None else clock(mine)
        found = [r for m in self.beside(measured, labels) if (r := reached(m)) is not None]
        times_s = [s for r in found if (s := clock(r)) is not None]
        return min(times_s) / own_s if own_s and times_s else None

    def objective_difference(self, measured: Measured) -> float | None:
        """Return (f - f_uncoded) / f_uncoded of the training objective after as many rounds."""
        others = self.beside(measured, [UNCODED])
        mine, theirs = measured.extra.objective, others[0].extra.objective if others else None
        return None if mine is None or theirs is None else (mine - theirs) / theirs

    def _of(self, setting: str, data_set: DataSet | None = None) -> list[Measured]:
        return [
            m
            for m in self.measured
            if m.cell.setting == setting and data_set in (None, m.cell.data_set)
        ]


def read_results(workshop: Workshop, cells: Sequence[Cell]) -> Results:
    """Read finished cells.

    Raises
    ------
    DataError: a cell is damaged.
    """
    read = [_read(workshop.directory(cell), cell) for cell in cells]
    bases = {
        (m.cell.data_set, m.cell.setting, m.cell.seed): m.curve[-1]
        for m in read
        if m.cell.label == UNCODED and m.curve
    }
    timed = [_timed(m, bases.get((m.cell.data_set, m.cell.setting, m.cell.seed))) for m in read]
    return Results(workshop, tuple(timed), raw_digest(workshop, cells))


def raw_digest(workshop: Workshop, cells: Sequence[Cell]) -> str:
    """Return one SHA-256 of the raw records of cells, whatever directory they lie in."""
    total = hashlib.sha256()
    for path in sorted(workshop.directory(cell) for cell in cells):
        for name in RAW:
            content = (path / name).read_bytes()
            total.update(f"{path.relative_to(workshop.out)}/{name} ".encode())
            total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def _read(path: Path, cell: Cell) -> Measured:
    run = Run.open(path)
    series = read_series(run)
    assert run.summary is not None
    metric = cell.data_set.metric
    seen = [e for e in series.evaluations if metric in e.metrics]
    return Measured(
        cell=cell,
        extra=read_extra(path),
        rounds=run.summary.rounds,
        wall_s=run.summary.wall_s,
        ready_s=run.start.ready_s if run.start else float("nan"),
        finite=run.summary.exit_code == EXIT_OK,
        round_times_s=series.duration_s,
        curve_rounds=[e.round for e in seen],
        curve_s=[e.closed_s for e in seen],
        curve=[e.metrics[metric] for e in seen],
    )


def _timed(measured: Measured, base: float | None) -> Measured:
    if base is None:
        return measured
    return replace(
        measured, target=_reached(measured, base, ROUNDING), near=_reached(measured, base, NEAR)
    )


def _reached(measured: Measured, value: float, slack: float) -> Reached | None:
    sign = 1.0 if known_metrics()[measured.cell.data_set.metric].higher_is_better else -1.0
    # AUC and MSE are positive, so a share of the value is on its worse side.
    least = sign * value - slack * value
    for round_, wall_s, seen in zip(
        measured.curve_rounds, measured.curve_s, measured.curve, strict=True
    ):
        if sign * seen >= least:
            ideal_s = measured.extra.ideal_s
            return Reached(round_, wall_s, sum(ideal_s[:round_]) if ideal_s else None)
    return None
