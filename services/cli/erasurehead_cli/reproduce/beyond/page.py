"""The second half of docs/results.md."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from erasurehead.process.outputs import write_output
from erasurehead_cli.reproduce import machine
from erasurehead_cli.reproduce.beyond import grid
from erasurehead_cli.reproduce.beyond.earlier import EVERY_ROUNDS
from erasurehead_cli.reproduce.beyond.grid import Contender, DataSet, Trial
from erasurehead_cli.reproduce.beyond.running import MARKS, Laboratory, Reached
from erasurehead_cli.reproduce.page import KIND, OPTION, SECOND_HALF, first_half, is_results
from erasurehead_cli.results.number_format import seconds, times

WIDTH = 100
LEAST_OVER_FIRST_ORDER, LEAST_OVER_UNCODED, LEAST_OVER_EGC = 15.0, 8.0, 2.0
MOST_IDEAL_S = 15.0
LEAST_CODED = 2.0

EASY, LAST = range(len(MARKS))

Key = tuple[DataSet, str, Contender]


@dataclass(frozen=True)
class Results:
    """What was reached: by data set, manner and contender, for each seed, run and ideal."""

    runs: Mapping[Key, Mapping[int, Reached]]
    ideals: Mapping[Key, Mapping[int, Reached]]

    @classmethod
    def of(cls, laboratory: Laboratory, trials: Sequence[Trial]) -> Results:
        """Read what is kept of trials."""
        found: dict[str, dict[Key, dict[int, Reached]]] = {"run": {}, "ideal": {}}
        for kind, by_key in found.items():
            for trial in trials:
                reached = laboratory.result(trial, kind)
                if reached is not None:
                    key = trial.data_set, trial.manner, trial.contender
                    by_key.setdefault(key, {})[trial.seed] = reached
        return cls(found["run"], found["ideal"])

    @property
    def earlier_builds(self) -> list[str]:
        """The earlier builds that have run trials."""
        found = {r.build for by_seed in self.runs.values() for r in by_seed.values() if r.build}
        return sorted(found)

    def __bool__(self) -> bool:
        return bool(self.runs or self.ideals)


def write_second_half(laboratory: Laboratory, trials: Sequence[Trial], page: Path) -> None:
    """Write it behind the first half that is there."""
    text = "\n".join(lines(Results.of(laboratory, trials), laboratory)).rstrip() + "\n"
    before = first_half(page).rstrip()
    whole = (f"{before}\n\n" if before else "") + f"{SECOND_HALF}\n\n{text}"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_output(page, KIND, is_results, lambda file: file.write(whole.encode()), OPTION)


def lines(results: Results, laboratory: Laboratory) -> Iterator[str]:
    """Yield the lines."""
    yield from ("# Beyond the paper: few rounds", "")
    others = [
        run.other_cores
        for by_seed in results.runs.values()
        for run in by_seed.values()
        if run.other_cores is not None
    ]
    busy = f" Other work used {np.median(others):.2f} cores meanwhile (median)." if others else ""
    told = machine.describe()
    yield _paragraph(
        "Written by `erasurehead reproduce --beyond`; not edited by hand. Whole runs of 30 worker"
        f" processes and a master on {told['cores']} cores, with delays"
        f" {grid.MEAN_DELAY_S * laboratory.time_scale:g} s long on average. *Gap*: how far the"
        " objective, mean training loss and penalty, is above its minimum, over how far a model of"
        " zeros is; the minimum is found by scipy, to 1e-9 of that. Times are wall clock, from the"
        " first round's opening to the close of the first round whose model has that gap; in"
        " square brackets the *ideal*, a run of the same state machines and arithmetic in which"
        " drawn delays alone take time. Median (least to greatest) over seeds; a dash: not run."
        f"{busy}{_of_earlier_builds(results)}"
    )
    yield ""
    yield from _aims(results)
    yield from ("## Time to a gap", "")
    for data_set in _sets(results):
        yield from (f"### {data_set.title} (l2 {data_set.l2:g})", "")
        yield from _table(
            ["method", "to 1e-2", "rounds", "to 1e-3", "rounds", "left at the end"],
            [
                [contender.title, *_row(results, (data_set, "iid", contender))]
                for contender in grid.CONTENDERS
                if _known(results, (data_set, "iid", contender))
            ],
        )
        yield ""
    yield from _codes_pay(results)


def _of_earlier_builds(results: Results) -> str:
    if not results.earlier_builds:
        return ""
    return (
        f" *Earlier build* is commit {' and '.join(results.earlier_builds)}, run by its own command"
        f" in turns with ours; it keeps its model every {EVERY_ROUNDS} rounds, and a round between"
        " two counts as good as the later one."
    )


def _aims(results: Results) -> Iterator[str]:
    yield from ("## Aims of the method", "")
    yield _paragraph(
        "Anchored L-BFGS, with three copies of each row, which is the default, and with ten. *Over*"
        " says how many times as long another way takes, medians over seeds, on the wall clock and"
        " in brackets by drawn delays; *at least* means that the other had not arrived when it was"
        " ended. The others have three copies. A number that misses its bound is bold."
    )
    yield ""
    whose = "the earlier build's" if results.earlier_builds else "first-order"
    columns = [
        "data set",
        "scheme",
        f"over {whose} methods, to 1e-2 (least {LEAST_OVER_FIRST_ORDER:g})",
        f"drawn seconds to 1e-3 (most {MOST_IDEAL_S:g})",
        f"over uncoded L-BFGS, to 1e-3 (least {LEAST_OVER_UNCODED:g})",
        f"over egc L-BFGS, to 1e-3 (least {LEAST_OVER_EGC:g})",
    ]
    rows = []
    for data_set, way in itertools.product(_sets(results), (grid.OURS, grid.TEN_COPIES)):
        ours = data_set, "iid", way
        if way is not grid.OURS and not _known(results, ours):
            continue
        first_order = grid.EARLIER if results.earlier_builds else grid.FIRST_ORDER
        against = [
            (first_order, EASY, LEAST_OVER_FIRST_ORDER),
            ((grid.UNCODED,), LAST, LEAST_OVER_UNCODED),
            ((grid.EGC,), LAST, LEAST_OVER_EGC),
        ]
        over = [
            _over(results, ours, [(data_set, "iid", other) for other in those], mark, bound)
            for those, mark, bound in against
        ]
        ideal_s = _median(results.ideals.get(ours, {}), LAST)
        told = "-" if ideal_s is None else seconds(ideal_s)
        if ideal_s is not None and ideal_s > MOST_IDEAL_S:
            told = f"**{told}**"
        rows.append([data_set.title, f"`{way.scheme}`", over[0], told, *over[1:]])
    yield from _table(columns, rows)
    yield ""


def _codes_pay(results: Results) -> Iterator[str]:
    yield from ("## Do codes pay?", "")
    yield _paragraph(
        "The same method, the same r = 3, the same cache: coded (each row at three workers) against"
        " uncoded. *Over* is the uncoded time over the coded one to the gap of 1e-3; at least"
        f" {LEAST_CODED:g} is asked for where workers are slow or dead. Rows that dead workers"
        " alone have are lost for an uncoded run."
    )
    yield ""
    for manner, title in grid.MANNERS.items():
        rows = []
        for data_set in _sets(results):
            keys = [(data_set, manner, each) for each in (grid.OURS, grid.UNCODED_CACHED)]
            if any(_known(results, key) for key in keys):
                cells = [cell for key in keys for cell in _row(results, key)[:4]]
                bound = 0.0 if manner == "iid" else LEAST_CODED
                over = _over(results, keys[0], keys[1:], LAST, bound)
                rows.append([data_set.title, *cells, over])
        if rows:
            mean_s = grid.MEAN_DELAY_S
            yield from (f"### {title.format(mean_s=mean_s).capitalize()}", "")
            marks = ["to 1e-2", "rounds", "to 1e-3", "rounds"]
            columns = [f"{who}, {mark}" for who in ("coded", "uncoded") for mark in marks]
            yield from _table(["data set", *columns, "over"], rows)
            yield ""


def _over(results: Results, ours: Key, others: Sequence[Key], mark: int, bound: float) -> str:
    """Return how many times as long the fastest of others takes, measured and ideal.

    Drawn delays alone take as long with any build, so the ideal is that of this one.
    """
    of_this = dict(zip(grid.EARLIER, grid.FIRST_ORDER, strict=True))
    ideal_others = [(*key[:2], of_this.get(key[2], key[2])) for key in others]

    def found(
        kept: Mapping[Key, Mapping[int, Reached]], those: Sequence[Key]
    ) -> tuple[float, bool] | None:
        own = _median(kept.get(ours, {}), mark)
        known = [kept[key] for key in those if key in kept]
        if own is None or not known:
            return None
        reached = [s for by_seed in known if (s := _median(by_seed, mark)) is not None]
        if reached:
            return min(reached) / own, True
        return min(_median_wall(by_seed) for by_seed in known) / own, False

    def show(ratio: tuple[float, bool] | None) -> str:
        return "-" if ratio is None else f"{'' if ratio[1] else 'at least '}{times(ratio[0])}"

    run, ideal = found(results.runs, others), found(results.ideals, ideal_others)
    text = show(run)
    judged = run or ideal
    if judged is not None and judged[1] and judged[0] < bound:
        text = f"**{text}**"
    return f"{text} \\[{show(ideal)}]"


def _row(results: Results, key: Key) -> list[str]:
    """Return seconds and rounds to each mark, and what is left at the end."""
    runs, ideals = results.runs.get(key, {}), results.ideals.get(key, {})
    cells = []
    for mark in range(len(MARKS)):
        cells.append(f"{_times_s(runs, mark)} \\[{_times_s(ideals, mark)}]")
        at = [r.marks[mark][0] for r in (runs or ideals).values() if len(r.marks) > mark]
        cells.append(_spread(at, lambda n: f"{n:.0f}") if at else "-")
    left = [reached.left for reached in (runs or ideals).values()]
    return [*cells, f"{max(left):.1e}" if left else "-"]


def _times_s(by_seed: Mapping[int, Reached], mark: int) -> str:
    if not by_seed:
        return "-"
    found = [s for reached in by_seed.values() if (s := reached.seconds(mark)) is not None]
    missed = len(by_seed) - len(found)
    if not found:
        return f"not in {seconds(_median_wall(by_seed))}"
    return _spread(found, seconds) + (f", {missed} never" if missed else "")


def _median(by_seed: Mapping[int, Reached], mark: int) -> float | None:
    """Return the median over seeds, if all have reached a mark."""
    found = [reached.seconds(mark) for reached in by_seed.values()]
    told = [s for s in found if s is not None]
    return float(np.median(told)) if told and len(told) == len(found) else None


def _median_wall(by_seed: Mapping[int, Reached]) -> float:
    return float(np.median([reached.wall_s for reached in by_seed.values()]))


def _known(results: Results, key: Key) -> bool:
    return key in results.runs or key in results.ideals


def _sets(results: Results) -> list[DataSet]:
    return [
        each
        for each in grid.DATA_SETS
        if any(key[0] == each for kept in (results.runs, results.ideals) for key in kept)
    ]


def _spread(values: Sequence[float], show: Callable[[float], str]) -> str:
    least, middle, most = (show(f(values)) for f in (min, lambda v: float(np.median(v)), max))
    return middle if least == most else f"{middle} ({least} to {most})"


def _paragraph(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "| --- |" + " ---: |" * (len(columns) - 1)
    for row in rows:
        yield f"| {' | '.join(row)} |"
