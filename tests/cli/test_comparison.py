"""A comparison's numbers, from runs whose times are known."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re

import pytest
from pydantic_core import to_json
from rich.console import Console

from erasurehead.errors import EXIT_DIVERGED
from erasurehead_cli.results import tables
from erasurehead_cli.results.comparison import Comparison, compare_runs, with_way_left
from erasurehead_cli.results.whole import print_whole
from tests.support.played_runs import MakeRun

SLOW = (0.5, 0.6, 0.7, 0.75, 0.78, 0.79, 0.80, 0.805, 0.81, 0.812)


def test_speed_ups_are_ratios_of_times(make_run: MakeRun) -> None:
    """1. uncoded: 10 rounds of 2 s; nine tenths is round 9, value 0.81, after 18 s.
    2. agc: rounds of 0.5 s, 0.81 first reached in round 8, after 4 s."""
    uncoded = make_run("uncoded", 2.0, SLOW)
    quick = make_run("agc:c=3,r=2", 0.5, [0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.8, 0.82, 0.81, 0.8])
    comparison = compare_runs([quick, uncoded])
    assert comparison.baseline == "uncoded"
    assert comparison.metric == "auc"
    assert comparison.target == 0.81
    first, base = comparison.outcomes
    assert (base.target_s, base.target_round) == (18.0, 9)
    assert (first.target_s, first.target_round) == (4.0, 8)
    assert first.speedup_to_target == pytest.approx(18 / 4)
    assert first.speedup_per_round == pytest.approx(2 / 0.5)
    assert base.speedup_to_target == base.speedup_per_round == 1.0
    assert first.round_s == 0.5
    assert first.arrivals == 4.0
    assert first.bytes_per_round == 1500.0


def test_what_is_left_to_the_optimum_stands_at_the_end(make_run: MakeRun) -> None:
    comparison = compare_runs([make_run("uncoded"), make_run("egc:c=2")])
    assert "left to optimum" not in tables.cells(comparison)
    cells = tables.cells(with_way_left(comparison, [0.25, 3.21e-4]))
    assert cells["left to optimum"] == ["2.5e-01", "3.2e-04"]
    assert cells["in rounds"] == ["9", "9"]


def test_runs_of_different_optimizers_are_named_by_them(make_run: MakeRun) -> None:
    plain, cached = (make_run("uncoded", optimizer=name) for name in ("gradient-descent", "auto"))
    comparison = compare_runs([cached, plain])
    assert [o.scheme for o in comparison.outcomes] == ["uncoded", "uncoded with gradient-descent"]
    assert compare_runs([plain]).outcomes[0].scheme == "uncoded"


def test_runs_that_take_no_time_have_no_speed_up(make_run: MakeRun) -> None:
    """Rounds of a virtual clock may take none: those who are not held up close them."""
    comparison = compare_runs([make_run("uncoded", 0.0, SLOW), make_run("egc:c=2", 1.0, SLOW)])
    base, other = comparison.outcomes
    assert base.target_s == 0.0
    assert base.speedup_to_target is base.speedup_per_round is None
    assert other.speedup_to_target == other.speedup_per_round == 0.0


def test_a_target_that_is_missed_says_so(make_run: MakeRun) -> None:
    runs = [make_run("uncoded"), make_run("agc:c=3,r=1", 0.1, [0.5, 0.6])]
    comparison = compare_runs(runs, target=0.8)
    assert comparison.outcomes[0].target_s == 7.0
    assert comparison.outcomes[1].target_s is None
    assert comparison.outcomes[1].speedup_to_target is None
    assert comparison.outcomes[1].speedup_per_round == pytest.approx(10.0)
    assert "not reached" in tables.markdown(comparison, [])


def test_without_uncoded_the_first_scheme_is_the_baseline(make_run: MakeRun) -> None:
    runs = [make_run("egc:c=2", 2.0), make_run("agc:c=2,r=2", 1.0)]
    comparison = compare_runs(runs)
    assert comparison.baseline == "egc:c=2"
    assert comparison.outcomes[1].speedup_to_target == pytest.approx(2.0)


def test_errors_improve_downwards(make_run: MakeRun) -> None:
    runs = [
        make_run("uncoded", 1.0, [5, 4, 3, 2, 1], "mse"),
        make_run("egc:c=2", 0.5, [5, 3, 1.5, 1, 1], "mse"),
    ]
    comparison = compare_runs(runs)
    assert not comparison.higher_is_better
    assert comparison.target == 2  # round 4 of 5: the last within nine tenths
    assert comparison.outcomes[0].target_s == 4.0
    assert comparison.outcomes[1].target_s == 1.5


def test_runs_without_evaluation_compare_their_rounds(make_run: MakeRun) -> None:
    runs = [make_run("uncoded", 2.0, metric=None), make_run("egc:c=2", 1.0, metric=None)]
    comparison = compare_runs(runs, target=0.5)
    assert comparison.metric is None
    assert comparison.target is None
    assert comparison.outcomes[1].speedup_per_round == pytest.approx(2.0)
    assert "speed-up a round" in tables.markdown(comparison, [])


def test_one_evaluation_at_the_end_is_target_enough(make_run: MakeRun) -> None:
    comparison = compare_runs([make_run("uncoded", 1.0, [0.75])])
    assert comparison.target == 0.75
    assert comparison.outcomes[0].speedup_to_target == 1.0


def test_a_metric_that_is_nan_reaches_nothing(make_run: MakeRun) -> None:
    runs = [make_run("uncoded"), make_run("egc:c=2", 1.0, [math.nan, math.nan])]
    assert compare_runs(runs).outcomes[1].target_s is None


def test_json_holds_the_curves_and_markdown_the_table(make_run: MakeRun) -> None:
    comparison = compare_runs([make_run("uncoded", 2.0), make_run("agc:c=2,r=3", 0.1)])
    held = json.loads(to_json(comparison.to_json(), inf_nan_mode="null"))
    assert held["store"] == "stores/tiny"
    assert [o["scheme"] for o in held["outcomes"]] == ["uncoded", "agc:c=2,r=3"]
    assert held["outcomes"][0]["curve"] == list(SLOW)
    assert held["outcomes"][0]["curve_s"][0] == 2.0
    assert held["outcomes"][1]["speedup_per_round"] == pytest.approx(20)
    assert held["outcomes"][1]["mean_round_s"] == pytest.approx(0.1)
    assert held["outcomes"][1]["median_round_s"] == pytest.approx(0.1)
    page = tables.markdown(comparison, ["speedup.png"])
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == 4
    assert "![speedup](speedup.png)" in page


def shown(comparison: Comparison, width: int) -> list[str]:
    """Return the lines of the table on a terminal of a width."""
    told = io.StringIO()
    print_whole(Console(width=width, file=told), tables.console_table(comparison))
    return told.getvalue().splitlines()


LONG = "frc:c=2 / first-copy:scale=coverage / fraction:r=3 / saga"


@pytest.mark.parametrize("width", [120, 80, 40])
@pytest.mark.parametrize("scheme", ["agc:c=3,delta=0.37,cache=saga", LONG])
def test_the_table_never_cuts_a_number(make_run: MakeRun, scheme: str, width: int) -> None:
    """The scheme is folded where there is no room; a terminal of 80 columns is never too narrow."""
    lines = shown(compare_runs([make_run("uncoded", 2.0), make_run(scheme, 0.0512)]), width)
    text = "\n".join(lines)
    assert "…" not in text
    for whole in ("2.00 s", "51.2 ms", "39.06x", "0.8120", "0.8100"):
        assert whole in text
    assert max(len(line.rstrip()) for line in lines) <= max(width, 80)
    assert all(word[:9] in text for word in re.split("[ ,:/=]+", scheme))


def test_runs_that_diverged_say_so_and_have_no_speed_up(make_run: MakeRun) -> None:
    runs = [make_run("uncoded", 2.0), make_run("egc:c=2", 1.0)]
    assert runs[1].summary is not None
    ended = dataclasses.replace(runs[1].summary, exit_code=EXIT_DIVERGED)
    runs[1] = dataclasses.replace(runs[1], summary=ended)
    comparison = compare_runs(runs)
    assert comparison.outcomes[0].speedup_per_round == 1.0
    assert comparison.outcomes[1].speedup_per_round is None
    assert comparison.outcomes[1].speedup_to_target is None
    assert tables.cells(comparison)["end"] == ["done", "diverged"]
    [row] = [line for line in shown(comparison, 80) if "egc:c=2" in line]
    assert row.split()[-2:] == ["-", "diverged"]
    of_others = compare_runs([runs[1], make_run("agc:c=2,r=2")])  # the baseline diverged
    assert of_others.outcomes[1].speedup_per_round is None


@pytest.mark.parametrize(
    ("values", "metric"),
    [
        ([0.6, 0.58, 0.55, 0.52, 0.51], "auc"),  # it falls
        ([0.4, 0.41, 0.43, 0.45, 0.46], "auc"),  # it rises, and stays below chance
        ([2.0, 2.5, 3.0, 3.5, 4.0], "mse"),
        ([-3.0, -2.0, -1.0, -0.5, -0.1], "r2"),
    ],
)
def test_what_was_not_learnt_is_no_target(
    make_run: MakeRun, values: list[float], metric: str
) -> None:
    runs = [make_run("uncoded", 2.0, values, metric), make_run("egc:c=2", 1.0, values, metric)]
    comparison = compare_runs(runs)
    assert comparison.target is None
    assert all(o.speedup_to_target is None for o in comparison.outcomes)
    [note] = comparison.notes
    assert "there is no target" in note
    assert "There is no target" in tables.markdown(comparison, [])
    assert compare_runs(runs, target=values[2]).target == values[2]  # unless one is asked for
