"""The paper's experiments as one command: grid, cells that run once, what is read from them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.metrics import log_loss

from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK, DataError, UsageError
from erasurehead.records import Observer, RunSummary
from erasurehead.runs import Run
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead_cli.main import main
from erasurehead_cli.reproduce import cells, cpu_quotas
from erasurehead_cli.reproduce.cells import EXTRA, Extra, Workshop, read_extra
from erasurehead_cli.reproduce.command import Request, carry_out
from erasurehead_cli.reproduce.cpu_quotas import (
    Confinement,
    Quota,
    QuotaGroups,
    QuotasUnavailableError,
    cpu_controller,
)
from erasurehead_cli.reproduce.grid import DATA_SETS, N_WORKERS, SETTINGS, Cell, build_grid
from erasurehead_cli.reproduce.machine import CpuMeter, describe
from erasurehead_cli.reproduce.objective import model_after, training_objective
from erasurehead_cli.reproduce.overall import Overall
from erasurehead_cli.reproduce.page import write_page
from erasurehead_cli.reproduce.results import Results, read_results
from erasurehead_cli.reproduce.targets import agc_claims, our_claims, undelayed_claims
from erasurehead_local.cluster import LocalCluster
from erasurehead_master.keep.checkpoint import DIRECTORY, CheckpointDirectory, Snapshot
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.planning import PlannedRun
from erasurehead_simulator.virtual.virtual_run import run_virtually
from tests.support.played_runs import make_record, make_start, write_run

AMAZON, _, KC = DATA_SETS
EVERYTHING = build_grid([d.name for d in DATA_SETS], list(SETTINGS), 2)

# --- the grid


def test_the_headline_cells_come_first_and_a_second_seed_last() -> None:
    assert [cell.seed for cell in EVERYTHING] == sorted(cell.seed for cell in EVERYTHING)
    first = [cell for cell in EVERYTHING if cell.data_set is AMAZON][:4]
    assert [cell.template for cell in first] == [
        "uncoded",
        "egc:c=3",
        "egc:c=2",
        "agc:c=3,r=11,scale=none",
    ]
    assert len(set(EVERYTHING)) == len(EVERYTHING)


def test_the_papers_schemes_are_all_there() -> None:
    run = {cell.template for cell in EVERYTHING if cell.setting == "delays"}
    assert run >= {"uncoded", "uncoded:r=11", "cyclic-repetition:s=1", "cyclic-repetition:s=2"}
    assert run >= {f"egc:c={c}" for c in (2, 3)}
    assert run >= {f"agc:c={c},r=11,scale=none" for c in (2, 3)}
    assert {cell.data_set.step for cell in EVERYTHING} == {
        "10",
        "0.1",
        "exponential:eta=0.1,decay=0.99",
    }


@pytest.mark.parametrize("text", sorted({cell.scheme for cell in EVERYTHING}))
def test_every_scheme_can_be_built(text: str) -> None:
    assert Coding.of(parse(text), N_WORKERS).code.n_workers == N_WORKERS


def test_slow_workers_differ_between_seeds_and_not_between_schemes() -> None:
    def told(cell: Cell) -> str:
        [found] = re.findall(r"p=([\d./]+)", cell.scheme)
        return str(found)

    knowing = [cell for cell in EVERYTHING if "{p}" in cell.template]
    by_seed = {seed: {told(c) for c in knowing if c.seed == seed} for seed in (0, 1)}
    assert all(len(each) == 1 for each in by_seed.values())
    assert by_seed[0] != by_seed[1]
    assert {p.split("/").count("0.9") for each in by_seed.values() for p in each} == {6}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "no data set is given; name a file with --amazon"),
        (["--kc-housing", "x", "--sets", "amazon"], "data set 'amazon' needs its file"),
        (["--kc-housing", "x", "--sets", "kc-housing,flights"], "there is no data set 'flights'"),
        (
            ["--kc-housing", "x", "--settings", "delay"],
            "no setting 'delay' (did you mean 'delays'?)",
        ),
        (["--kc-housing", "x", "--scheme", "agc:c=3"], "scheme 'agc' needs r, delta"),
        (["--kc-housing", "nowhere.csv", "--seeds", "1"], "nowhere.csv"),
    ],
)
def test_bad_requests_are_one_sentence(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "--out", str(tmp_path / "out"), *arguments]) == 2
    told = capsys.readouterr().err
    assert expected in told
    assert len(told.strip().splitlines()) == 1


# --- cells, with virtual workers instead of processes


def virtually(
    planned: PlannedRun, observers: Sequence[Observer], resume: object, *local: object
) -> RunSummary:
    return run_virtually(planned.plan, planned.store, observers, 0.0)


def ended(observers: Sequence[Observer], summary: RunSummary) -> RunSummary:
    for observer in observers:
        observer.finished(summary)
    return summary


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A place with a made-up store under the name of the Amazon data."""
    options = {"rows": "200", "columns": "40", "nnz": "3"}
    prepare("synthetic", source=None, out=tmp_path / "stores" / "amazon", options=options)
    return Workshop(tmp_path, rounds=5, time_scale=0.1)


@pytest.fixture
def silent() -> Console:
    return Console(file=io.StringIO())


def test_a_cell_holds_its_run_its_objective_and_its_ideal(
    workshop: Workshop, silent: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "run_planned", virtually)
    cell = Cell(AMAZON, "delays", "egc:c=3", 0)
    assert not workshop.finished(cell)
    summary = workshop.run(cell, silent, [])
    assert workshop.finished(cell)
    run, extra = Run.open(workshop.directory(cell)), read_extra(workshop.directory(cell))
    assert run.settings.straggling.delay == "exponential:mean_s=0.05"
    assert extra.objective_round == 5
    # Virtual workers take no time of their own, so the run is as long as its ideal.
    assert sum(extra.ideal_s) == pytest.approx(summary.rounds_s)
    store = Store.open(workshop.store(cell))
    assert extra.objective == pytest.approx(training_objective(store, run.theta))


@pytest.mark.parametrize("code", [EXIT_INTERRUPTED, EXIT_OK], ids=["interrupted", "asked to end"])
def test_a_cell_that_was_cut_short_is_run_from_its_beginning(
    workshop: Workshop, silent: Console, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    cell = Cell(AMAZON, "delays", "uncoded", 0)

    def interrupted(
        planned: PlannedRun, observers: Sequence[Observer], resume: object, *local: object
    ) -> RunSummary:
        settings = planned.plan.settings
        start = make_start(settings.coding.scheme, settings.coding.workers, settings.descent.rounds)
        for observer in observers:
            observer.started(start)
            observer.round_over(make_record(1, n_workers=settings.coding.workers))
        return ended(observers, RunSummary("cut short", code, 1, 1.0, 1.0, 0.0))

    monkeypatch.setattr(cells, "run_planned", interrupted)
    assert workshop.run(cell, silent, []).exit_code == EXIT_INTERRUPTED
    assert (workshop.directory(cell) / "rounds.jsonl").exists()
    assert not workshop.finished(cell)
    monkeypatch.setattr(cells, "run_planned", virtually)
    assert workshop.run(cell, silent, []).rounds == 5
    assert workshop.finished(cell)


def test_a_finished_cell_of_other_settings_is_not_taken(
    workshop: Workshop, silent: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "run_planned", virtually)
    cell = Cell(AMAZON, "delays", "uncoded", 0)
    workshop.run(cell, silent, [])
    other = Workshop(workshop.out, rounds=5, time_scale=1.0)
    with pytest.raises(UsageError, match=r"delay=exponential:mean_s=0\.05, and now it is"):
        other.finished(cell)


def test_a_page_that_cannot_be_written_is_refused_before_any_cell(
    tmp_path: Path, silent: Console
) -> None:
    (tmp_path / "file").write_text("")
    for page in (tmp_path, tmp_path / "file" / "results.md"):
        request = Request(tmp_path / "out", {}, [], 10, 1.0, page)
        with pytest.raises(
            UsageError, match=r"(the results to|a file for the results) .*--results"
        ):
            carry_out(request, silent)


def test_files_that_no_page_left_are_not_written_over(tmp_path: Path, silent: Console) -> None:
    page, figure = tmp_path / "results.md", tmp_path / "figures" / "stragglers.png"
    page.write_text("my thesis")
    figure.parent.mkdir()
    figure.write_bytes(b"mine")
    request = Request(tmp_path / "out", {}, [], 10, 1.0, page)
    with pytest.raises(UsageError, match=r"results\.md is there already and is not the results"):
        carry_out(request, silent)
    page.unlink()
    with pytest.raises(UsageError, match=r"stragglers\.png is there already without the results"):
        carry_out(request, silent)
    assert figure.read_bytes() == b"mine"


def test_a_directory_that_is_no_run_is_not_removed_for_a_cell(
    workshop: Workshop, silent: Console
) -> None:
    cell = Cell(AMAZON, "none", "uncoded", 0)
    directory = workshop.directory(cell)
    directory.mkdir(parents=True)
    (directory / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is there already and is no run"):
        workshop.run(cell, silent, [])
    assert (directory / "notes.txt").read_text() == "mine"


def test_a_scheme_is_run_once() -> None:
    with pytest.raises(UsageError, match="scheme uncoded is given twice"):
        build_grid(["amazon"], ["none"], 1, ["uncoded", "egc:c=3", "uncoded"])


def test_the_whole_grid_of_one_set_stopped_and_continued(
    tmp_path: Path, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. The second cell is interrupted; the command says how to go on and shows the first.
    2. The same command runs what is missing, and only that. 3. Again, it runs nothing.
    """
    ran: list[str] = []

    def once_interrupted(
        planned: PlannedRun, observers: Sequence[Observer], resume: object, *local: object
    ) -> RunSummary:
        ran.append(planned.plan.settings.coding.scheme)
        if len(ran) == 2:
            nothing = RunSummary("interrupted", EXIT_INTERRUPTED, 0, 0.0, 0.0, 0.0)
            return ended(observers, nothing)
        return run_virtually(planned.plan, planned.store, observers, 0.0)

    monkeypatch.setattr(cells, "run_planned", once_interrupted)
    schemes = ["uncoded", "egc:c=3", "agc:c=3,r=11,scale=none", "agc:c=3,r=5,cache=sag"]
    request = Request(
        out=tmp_path / "out",
        files={"kc-housing": shared_data / "kc_house_data.csv.gz"},
        cells=build_grid(["kc-housing"], ["delays"], 1, schemes),
        rounds=5,
        time_scale=1.0,
        page=tmp_path / "docs" / "results.md",
    )
    told = io.StringIO()
    console = Console(file=told, width=200)
    assert carry_out(request, console) == EXIT_INTERRUPTED
    assert "give the same command to go on" in told.getvalue()
    assert carry_out(request, console) == EXIT_OK
    assert ran == ["uncoded", "egc:c=3", *schemes[1:]]
    page = request.page.read_text(encoding="utf-8")
    assert "4, seeds 0" in page
    assert carry_out(request, console) == EXIT_OK
    assert len(ran) == 5
    assert request.page.read_text(encoding="utf-8") == page
    for image in re.findall(r"!\[.*\]\((.*)\)", page):
        assert (request.page.parent / image).stat().st_size > 5000
    assert str(tmp_path) not in page


# --- what is read from the cells, against numbers made by hand

VALUES = (0.5, 0.6, 0.7, 0.75, 0.78, 0.79, 0.8, 0.8, 0.8, 0.8)


def put(shop: Workshop, cell: Cell, round_s: float, values: Sequence[float], loss: float) -> None:
    path = shop.directory(cell)
    write_run(path, cell.scheme, round_s, values)
    ideal_s = [round_s / 2] * len(values)
    extra = Extra(10, loss, ideal_s, own_cores=0.1, other_cores=0.4)
    (path / EXTRA).write_text(json.dumps(asdict(extra)), encoding="ascii")


def by_hand(out: Path, late: float = 0.8) -> Results:
    """Uncoded rounds of 1 s, exact ones of 0.4 s, ours of 40 ms; all end at 0.8."""
    shop = Workshop(out, rounds=10, time_scale=1.0)
    made = [
        (Cell(AMAZON, "delays", "uncoded", 0), 1.0, VALUES, 0.5),
        (Cell(AMAZON, "delays", "egc:c=3", 0), 0.4, VALUES, 0.5),
        (Cell(AMAZON, "delays", "agc:c=3,r=11", 0), 0.2, VALUES[:6], 0.6),
        (Cell(AMAZON, "delays", "agc:c=3,r=3,cache=sag", 0), 0.04, (*VALUES[:6], late), 0.4999),
    ]
    for cell, round_s, values, loss in made:
        put(shop, cell, round_s, values, loss)
    return read_results(shop, [cell for cell, *_ in made])


def test_speed_ups_are_those_of_the_same_target(tmp_path: Path) -> None:
    uncoded, egc, agc, ours = (results := by_hand(tmp_path)).measured
    assert uncoded.target is not None
    assert uncoded.target.round == 7
    assert uncoded.target.wall_s == pytest.approx(7.0)
    assert uncoded.target.ideal_s == pytest.approx(3.5)
    assert results.per_round(egc, "uncoded") == pytest.approx(2.5)
    assert results.to_value(ours, ["uncoded"], lambda m: m.target) == pytest.approx(25.0)
    assert results.to_value(ours, ["egc:c=3"], lambda m: m.target) == pytest.approx(10.0)
    assert agc.target is None
    assert results.to_value(agc, ["uncoded"], lambda m: m.target) is None
    assert results.objective_difference(ours) == pytest.approx(-2e-4)


def test_within_half_a_percent_is_enough_for_the_lenient_target(tmp_path: Path) -> None:
    ours = by_hand(tmp_path, late=0.7961).measured[-1]
    assert ours.target is None
    assert ours.near is not None
    assert ours.near.round == 7


def test_claims_name_what_is_met_and_what_is_not(tmp_path: Path) -> None:
    results = by_hand(tmp_path)
    verdicts = {(c.scheme, c.what): c.met for c in [*agc_claims(results), *our_claims(results)]}
    ours = "agc:c=3,r=3,cache=sag"
    assert verdicts == {
        ("agc:c=3,r=11", "over uncoded"): False,
        ("agc:c=3,r=11", "over egc:c=3"): True,
        (ours, "to the target, over uncoded"): True,
        (ours, "to 0.5 % of it, over uncoded"): True,
        (ours, "to the target, over the best egc"): True,
        (ours, "to 0.5 % of it, over the best egc"): True,
        (ours, "objective"): True,
    }
    assert list(undelayed_claims(results)) == []


def test_without_delays_no_slower_than_uncoded_is_enough(tmp_path: Path) -> None:
    """A quicker round, but two rounds more to the target."""
    shop = Workshop(tmp_path, rounds=10, time_scale=1.0)
    uncoded, agc = Cell(AMAZON, "none", "uncoded", 0), Cell(AMAZON, "none", "agc:c=3,r=7", 0)
    put(shop, uncoded, 0.1, VALUES, 0.5)
    put(shop, agc, 0.08, (0.5, 0.5, *VALUES), 0.5)
    claims = list(undelayed_claims(read_results(shop, [uncoded, agc])))
    assert {c.what: c.met for c in claims} == {
        "a round, over uncoded": True,
        "to the target, over uncoded": False,
        "to 0.5 % of it, over uncoded": False,
    }
    assert {c.what: c.found and c.found.median for c in claims} == pytest.approx(
        {
            "a round, over uncoded": 1.25,
            "to the target, over uncoded": 0.7 / 0.72,
            "to 0.5 % of it, over uncoded": 0.7 / 0.72,
        }
    )


def test_the_page_shows_misses_in_bold_and_names_what_was_skipped(tmp_path: Path) -> None:
    page = tmp_path / "docs" / "results.md"
    write_page(by_hand(tmp_path), page, {"quotas": "no control groups here"}, "It rained.")
    text = page.read_text(encoding="utf-8")
    assert "| Amazon Employee Access | `agc:c=3,r=11` | **5.00x** \\[5.00x] | 2.00x" in text
    assert "25.00x \\[25.00x]" in text
    assert "not reached" in text
    assert "Not run: no control groups here." in text
    assert "\n\nIt rained.\n\n" in text
    assert "median 0.40, most 0.40" in text


def test_the_digest_follows_the_records_and_not_the_directory(tmp_path: Path) -> None:
    one, other = by_hand(tmp_path / "a"), by_hand(tmp_path / "b")
    assert one.digest == other.digest
    assert one.digest != by_hand(tmp_path / "c", late=0.79).digest


def test_a_damaged_cell_is_named(tmp_path: Path) -> None:
    results = by_hand(tmp_path)
    path = results.workshop.directory(results.measured[0].cell)
    (path / EXTRA).write_text("{", encoding="ascii")
    with pytest.raises(DataError, match=r"cell\.json is damaged"):
        read_extra(path)


# --- the parts


def test_the_objective_is_the_mean_loss_over_all_training_rows(workshop: Workshop) -> None:
    store = Store.open(workshop.store(Cell(AMAZON, "delays", "uncoded", 0)))
    theta = np.random.default_rng(1).standard_normal(store.manifest.columns)
    dense = np.zeros((store.manifest.rows, store.manifest.columns))
    indptr = np.asarray(store.train.indptr)
    rows = np.repeat(np.arange(len(dense)), np.diff(indptr))
    held = store.train.values
    dense[rows, store.train.indices] = 1.0 if held is None else held
    chance = 1.0 / (1.0 + np.exp(-(dense @ theta)))
    expected = log_loss(np.asarray(store.train.labels) > 0, chance)
    assert training_objective(store, theta) == pytest.approx(expected)


def test_the_model_in_the_middle_of_a_run_is_that_of_its_checkpoint(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    np.testing.assert_array_equal(model_after(run, 10), run.theta)
    assert model_after(run, 5) is None
    checkpoints = CheckpointDirectory(run.path / DIRECTORY, 3)
    for round_ in (4, 5, 6):
        theta = np.full(3, float(round_))
        checkpoints.save(Snapshot(round_, "abc", RunTimes(1.0), {"optimizer/theta": theta}))
    np.testing.assert_array_equal(model_after(run, 5), np.full(3, 5.0))
    assert model_after(run, 7) is None


@pytest.fixture
def version_1(tmp_path: Path) -> tuple[Path, Path]:
    """A tree that looks like control groups of version 1, and who we are in it."""
    (tmp_path / "cpu" / "ours").mkdir(parents=True)
    (tmp_path / "cpu" / "ours" / "cpu.cfs_quota_us").write_text("-1")
    (tmp_path / "membership").write_text("3:cpuset:/\n1:cpu:/ours\n0::/\n")
    return tmp_path, tmp_path / "membership"


@pytest.fixture
def version_2(tmp_path: Path) -> tuple[Path, Path]:
    """The same, of version 2."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "membership").write_text("0::/ours\n")
    return tmp_path, tmp_path / "membership"


def written(group: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in group.iterdir()}


def test_quotas_of_version_1(version_1: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_quotas, "LEAVING_S", 0.0)  # plain files keep these groups from going
    with QuotaGroups([Quota(1000, 25_000), Quota(1000, 150_000)], *version_1) as groups:
        groups.confine(1, 42)
        [slow] = (version_1[0] / "cpu" / "ours").glob("erasurehead-*-1")
        assert written(slow) == {
            "cpu.cfs_period_us": "150000",
            "cpu.cfs_quota_us": "1000",
            "cgroup.procs": "42",
        }
        groups.lift()
        assert written(slow)["cpu.cfs_quota_us"] == "-1"


def test_quotas_of_version_2(version_2: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_quotas, "LEAVING_S", 0.0)
    assert cpu_controller(*version_2) == (version_2[0] / "ours", True)
    with QuotaGroups([Quota(1000, 25_000)], *version_2) as groups:
        groups.confine(0, 42)
        [group] = (version_2[0] / "ours").glob("erasurehead-*-0")
        assert written(group) == {"cpu.max": "1000 25000", "cgroup.procs": "42"}
        assert (version_2[0] / "ours" / "cgroup.subtree_control").read_text() == "+cpu"
        groups.lift()
        assert written(group)["cpu.max"] == "max"


def test_a_machine_without_quotas_says_so(tmp_path: Path) -> None:
    with pytest.raises(QuotasUnavailableError, match="no CPU quotas here"):
        QuotaGroups([], tmp_path, tmp_path / "nothing").__enter__()


def test_workers_are_confined_while_rounds_are_run() -> None:
    class Groups(QuotaGroups):
        def __init__(self) -> None:
            super().__init__([])
            self.told: list[object] = []

        def confine(self, slot: int, pid: int) -> None:
            self.told.append((slot, pid))

        def lift(self) -> None:
            self.told.append("lifted")

    groups = Groups()
    confinement = Confinement(groups)
    cluster = LocalCluster()
    cluster.pids = {"local-0": 100, "local-11": 111}
    confinement.attach(cluster)
    assert groups.told == []
    confinement.started(make_start())
    assert groups.told == [(0, 100), (11, 111)]
    confinement.finished(RunSummary("done", 0, 1, 1.0, 1.0, 0.0))
    assert groups.told[-1] == "lifted"


def test_time_left_learns_from_the_cells_so_far() -> None:
    now = [0.0]
    two = [Cell(AMAZON, "none", "uncoded", seed) for seed in (0, 1)]
    told = io.StringIO()
    overall = Overall(Console(file=told, width=200), two, [10.0, 10.0], lambda: now[0])
    overall.begin(0)
    assert overall.left_s == 20.0
    overall.started(make_start(rounds=10))
    overall.round_over(make_record(5))
    assert overall.left_s == 15.0
    now[0] = 20.0  # twice as long as foreseen
    overall.end(0, "20.0 s")
    assert overall.left_s == 20.0
    assert told.getvalue().strip() == ("1/2 amazon, none, uncoded, seed 0: 20.0 s; 0:00:20 left")


def test_other_peoples_load_is_what_is_busy_beside_us(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu 100 0 0 1000 0 0 0 0 0 0\n")
    meter = CpuMeter(stat)
    stat.write_text("cpu 1000000 0 0 1000 0 0 0 0 0 0\n")
    use = meter.read()
    assert use.other_cores is not None
    assert use.other_cores > 1.0
    assert CpuMeter(tmp_path / "none").read().other_cores is None


def test_the_machine_is_described_without_its_name() -> None:
    import platform

    told = describe()
    assert set(told) >= {"cores", "memory", "Python"}
    assert platform.node() not in told.values()
