"""How long runs take to come near the optimum: trials, what is kept of them, and the page."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from rich.console import Console

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK, DataError, ErasureHeadError, UsageError
from erasurehead.records import Observer, RunSummary
from erasurehead_cli.main import main
from erasurehead_cli.reproduce.beyond import grid, optimum, running
from erasurehead_cli.reproduce.beyond.command import Request, carry_out
from erasurehead_cli.reproduce.beyond.earlier import EVERY_ROUNDS, Earlier
from erasurehead_cli.reproduce.beyond.grid import DATA_SETS, Contender, DataSet, Trial, build_trials
from erasurehead_cli.reproduce.beyond.optimum import Objective
from erasurehead_cli.reproduce.beyond.page import Results, lines
from erasurehead_cli.reproduce.beyond.running import (
    MARKS,
    Laboratory,
    Reached,
    as_good_as_next,
    dead_slots,
)
from erasurehead_cli.reproduce.page import SECOND_HALF, first_half
from erasurehead_master.run.planning import PlannedRun
from erasurehead_master.run.seams import Rating
from erasurehead_simulator.virtual.virtual_run import run_virtually

KC, AMAZON = DATA_SETS[:2]


def made_up(out: Path, labels: str) -> Store:
    options = {"rows": "300", "columns": "30", "nnz": "4", "labels": labels, "seed": "1"}
    return prepare("synthetic", source=None, out=out, options=options).store


@pytest.fixture
def laboratory(tmp_path: Path) -> Laboratory:
    """A place with made-up numbers under the name of the houses, and delays a tenth as long."""
    made_up(tmp_path / "stores" / KC.name, "numbers")
    return Laboratory(tmp_path, 0.1)


def virtually(
    planned: PlannedRun, observers: Sequence[Observer], *_: object, rating: Rating
) -> RunSummary:
    def rate(model: np.ndarray) -> dict[str, float]:
        [metrics] = list(rating(model))
        assert metrics is not None
        return metrics

    watch, deaths = observers
    assert deaths is not None
    return run_virtually(planned.plan, planned.store, [watch], 0.0, rate=rate)


def test_what_matters_most_is_run_first() -> None:
    trials = build_trials((), (), (), 2, earlier=False)
    assert {trial.contender for trial in trials[:8]} == {grid.OURS}
    assert len(set(trials)) == len(trials)
    assert {trial.manner for trial in trials} == set(grid.MANNERS)


def test_an_earlier_build_runs_in_turns_with_ours() -> None:
    trials = build_trials(["flights", KC.name], ["iid"], (), 2, earlier=True)
    turn = [grid.OURS, *grid.EARLIER]
    assert [trial.contender for trial in trials[: 4 * len(turn)]] == 4 * turn
    with pytest.raises(UsageError, match="name its checkout with --against DIR"):
        build_trials((), (), ["earlier-descent"], 1, earlier=False)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--sets", "flight"], "no data set 'flight' (did you mean 'flights'?)"),
        (["--sets", "flights", "--settings", "ded"], "no setting 'ded' (did you mean 'dead'?)"),
        (["--sets", "flights", "--methods", "eg"], "no method 'eg' (did you mean 'egc'?)"),
        (["--sets", "flights", "--kinds", "runs"], "expected run, ideal or both"),
        (["--sets", "flights", "--against", "nowhere"], "nowhere is no checkout of this"),
    ],
)
def test_bad_requests_are_one_sentence(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "--beyond", "--out", str(tmp_path / "out"), *arguments]) == 2
    told = capsys.readouterr().err
    assert expected in told
    assert len(told.strip().splitlines()) == 1


@pytest.mark.parametrize("labels", ["numbers", "two-classes"])
def test_scipy_finds_the_minimum(labels: str, tmp_path: Path) -> None:
    store = made_up(tmp_path / "store", labels)
    objective = Objective(store, 1e-3)
    best, above = objective.minimum()
    least = objective.values(best[np.newaxis])[0]
    whole = objective.values(np.zeros((1, len(best))))[0] - least
    assert above <= optimum.CLOSE * whole
    for seed in range(20):
        near = best + 1e-3 * np.random.default_rng(seed).standard_normal(len(best))
        assert objective.values(near[np.newaxis])[0] > least
    if labels == "numbers":
        x, y = store.train.matrix().toarray(), np.asarray(store.train.labels)
        hessian = x.T @ x / len(y) + 1e-3 * np.eye(len(best))
        np.testing.assert_allclose(best, np.linalg.solve(hessian, x.T @ y / len(y)), atol=1e-4)


def test_an_optimum_that_is_not_found_is_no_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimum, "STAGES", (1.0,))
    with pytest.raises(DataError, match="give a larger penalty"):
        optimum.kept_gaps(made_up(tmp_path / "store", "numbers"), 1e-9, tmp_path / "o.npz")
    assert not (tmp_path / "o.npz").exists()


def test_a_trial_is_run_once_and_its_ideal_is_what_virtual_workers_reach(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "run_planned", virtually)
    trial = Trial(KC, "iid", grid.OURS, 0)
    assert laboratory.result(trial, "run") is None
    run, ideal = laboratory.run(trial), laboratory.ideal(trial)
    assert run is not None
    assert len(run.marks) == len(MARKS)
    assert run.marks == ideal.marks
    assert ideal.left <= MARKS[-1]
    assert run.rounds > ideal.rounds
    laboratory.keep(trial, "run", run)
    assert laboratory.result(trial, "run") == run
    assert Laboratory(laboratory.out, 1.0).result(trial, "run") is None


def test_dead_workers_and_slow_ones_are_others_in_each_run(laboratory: Laboratory) -> None:
    slots = [dead_slots(Trial(KC, "dead", grid.OURS, seed)) for seed in range(3)]
    assert {len(each) for each in slots} == {grid.DEAD_WORKERS}
    assert len({tuple(each) for each in slots}) == 3
    trial = Trial(KC, "slow", grid.OURS, 0)
    delays = laboratory.settings(trial).delays()
    drawn = np.mean([delays.delays_s(t, 1.0) for t in range(1, 500)], axis=0)
    assert np.sum(drawn > 3 * np.median(drawn)) == grid.SLOW_WORKERS


def test_a_run_without_three_workers_ends(laboratory: Laboratory) -> None:
    ideal = laboratory.ideal(Trial(KC, "dead", grid.OURS, 0))
    assert len(ideal.marks) == len(MARKS)


def test_another_checkout_is_run_by_its_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This one stands for it: of another nothing but command line and files is used, either.

    With exact rounds, so that both runs have the same models whoever comes first.
    """
    monkeypatch.setattr(grid, "N_WORKERS", 3)
    earlier = Earlier(Path(__file__).parents[2])
    laboratory = Laboratory(tmp_path, 1e-3, earlier)
    for place in (laboratory.store(KC.name), laboratory.earlier_store(KC.name)):
        made_up(place, "numbers")
    trial = Trial(KC, "iid", replace(grid.EARLIER[-1], scheme="uncoded", rounds=42), 0)
    reached = laboratory.run(trial)
    assert reached is not None
    assert (reached.rounds, reached.build) == (42, earlier.build)
    [(at, closed_s)] = reached.marks
    assert 0.0 < closed_s < reached.wall_s
    descent = replace(grid.DESCENT, scheme="uncoded", rounds=42, most_s=1e6)
    ours = laboratory.run(Trial(KC, "iid", descent, 0))
    assert ours is not None
    assert ours.marks[0][0] - EVERY_ROUNDS < at <= ours.marks[0][0]
    laboratory.keep(trial, "run", reached)
    assert laboratory.result(trial, "run") == reached
    # Of another build it is run again; a page shows whatever there is.
    monkeypatch.setattr(earlier, "build", "another")
    assert laboratory.result(trial, "run") is None
    assert Laboratory(tmp_path, 1e-3).result(trial, "run") == reached


def test_an_earlier_build_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ErasureHeadError, match=r"ended with code 2: .*'kc-hous'"):
        Earlier(Path(__file__).parents[2]).prepare("kc-hous", None, tmp_path / "store")


RUNS_FOR_LONG = """
import os
import pathlib
import time
pathlib.Path(os.environ["PID_FILE"]).write_text(str(os.getpid()))
time.sleep(600)
"""
TRAINS = """
import sys
from pathlib import Path
from erasurehead_cli.reproduce.beyond.earlier import Earlier
earlier = object.__new__(Earlier)
earlier._checkout = Path(sys.argv[1])
earlier.train({"store": "nowhere"}, Path(sys.argv[1]) / "run")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_earlier_build_ends_with_who_runs_it(tmp_path: Path, number: int) -> None:
    cli = tmp_path / "services" / "cli" / "erasurehead_cli"
    cli.mkdir(parents=True)
    (cli / "__init__.py").touch()
    (cli / "__main__.py").write_text(RUNS_FOR_LONG)
    told = tmp_path / "pid"
    environment = {**os.environ, "PID_FILE": str(told)}
    with subprocess.Popen([sys.executable, "-c", TRAINS, str(tmp_path)], env=environment) as parent:
        limit = time.monotonic() + 60
        while not (told.exists() and told.read_text()):
            assert parent.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.02)
        child = psutil.Process(int(told.read_text()))
        parent.send_signal(number)
    gone, _ = psutil.wait_procs([child], 60)
    assert gone == [child]


def test_a_round_between_two_models_counts_as_good_as_the_later_one() -> None:
    closed_s = {t: float(t) for t in range(1, 9)}
    gaps, at_s = as_good_as_next({3: 0.5, 5: 0.01, 7: 0.001}, closed_s)
    assert gaps == [0.5, 0.5, 0.5, 0.01, 0.01, 0.001, 0.001]
    assert at_s == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    assert as_good_as_next({}, closed_s) == ([], [])


def test_first_order_methods_of_both_builds_run_longer_on_covertype() -> None:
    covertype = grid.DATA_SETS[-1]
    for each in (grid.DESCENT, grid.EARLIER[-1]):
        assert Trial(covertype, "iid", each, 0).rounds == 8 * Trial(KC, "iid", each, 0).rounds
        assert Trial(covertype, "iid", each, 0).most_s == 8 * Trial(KC, "iid", each, 0).most_s
    assert Trial(covertype, "iid", grid.OURS, 0).rounds == grid.OURS.rounds


@pytest.mark.parametrize("code", [EXIT_INTERRUPTED, EXIT_OK], ids=["interrupted", "asked to end"])
def test_a_run_that_is_cut_short_ends_it_and_what_is_finished_stays(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def interrupted(*_: object, **__: object) -> RunSummary:
        return RunSummary("cut short", code, 1, 1.0, 1.0, 0.0)

    monkeypatch.setattr(running, "run_planned", interrupted)
    trials = [Trial(KC, "iid", grid.OURS, 0)]
    page, said = laboratory.out / "results.md", io.StringIO()

    def request(*kinds: str) -> Request:
        # No data set is to be prepared: the made-up one has its name.
        return Request(laboratory.out, {}, trials, trials, kinds, 0.1, page)

    monkeypatch.setattr("erasurehead_cli.reproduce.beyond.command.prepare", lambda *_, **__: None)
    assert carry_out(request("run"), Console(file=said)) == EXIT_INTERRUPTED
    with pytest.raises(UsageError, match=r"nothing under .* is finished"):
        carry_out(request(), Console(file=said))
    page.write_text("# Results\n\nWritten by `erasurehead reproduce` from cells.\n")
    assert carry_out(request("ideal"), Console(file=said)) == 0
    text = page.read_text()
    assert first_half(page) == "# Results\n\nWritten by `erasurehead reproduce` from cells.\n\n"
    assert text.count(SECOND_HALF) == 1
    assert "KC Housing" in text
    assert carry_out(request(), Console(file=said)) == 0
    assert page.read_text() == text


def reached(seconds: Sequence[float], wall_s: float = 100.0) -> dict[int, Reached]:
    """Of one seed, rounds of one second."""
    return {0: Reached([(round(s), s) for s in seconds], round(wall_s), wall_s, 1e-4)}


def page_of(runs: dict[tuple[DataSet, str, Contender], dict[int, Reached]]) -> str:
    return "\n".join(lines(Results(runs, runs), Laboratory(Path("nowhere"), 1.0)))


def test_bounds_that_are_missed_are_bold_and_what_never_came_is_at_least() -> None:
    text = page_of(
        {
            (KC, "iid", grid.OURS): reached([2.0, 4.0]),
            (KC, "iid", grid.TEN_COPIES): reached([1.0, 2.0]),
            (KC, "iid", grid.UNCODED): reached([10.0, 20.0]),
            (KC, "iid", grid.EGC): reached([5.0, 10.0]),
            (KC, "iid", grid.DESCENT): reached([], 90.0),
            (KC, "dead", grid.OURS): reached([3.0, 6.0]),
            (KC, "dead", grid.UNCODED_CACHED): reached([], 60.0),
        }
    )
    aims = [line for line in text.splitlines() if "| at least" in line and "cached:" in line]
    row, ten_copies = aims
    assert r"| `cached:c=3,r=3` | at least 45.00x \[at least 45.00x]" in row
    assert r"| 4.00 s | **5.00x** \[5.00x] | 2.50x \[2.50x] |" in row
    assert r"| `cached:c=10,r=2` | at least 90.00x \[at least 90.00x] | 2.00 s |" in ten_copies
    assert r"| 10.00x \[10.00x] | 5.00x \[5.00x] |" in ten_copies
    [dead] = [line for line in text.splitlines() if line.startswith("| KC Housing | 3.00 s")]
    assert dead.endswith(r"| at least 10.00x \[at least 10.00x] |")
    assert "not in 60.0 s" in dead


def test_an_earlier_build_stands_for_first_order_methods() -> None:
    runs = {
        (KC, "iid", grid.OURS): reached([2.0, 4.0]),
        (KC, "iid", grid.DESCENT): reached([30.0]),
        (KC, "iid", grid.EARLIER[-1]): reached([50.0]),
    }
    for each in runs[KC, "iid", grid.EARLIER[-1]].values():
        each.build = "2b43c8b"
    text = " ".join(page_of(runs).split())
    assert "*Earlier build* is commit 2b43c8b, run by its own command in turns with ours" in text
    assert "over the earlier build's methods, to 1e-2 (least 15)" in text
    assert r"| KC Housing | `cached:c=3,r=3` | 25.00x \[15.00x] |" in text
    assert "gradient descent, c=3, r=2, cached, earlier build" in text
