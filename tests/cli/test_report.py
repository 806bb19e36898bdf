"""The report as a file: whole, self-contained, always the same, refused where it must be."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from erasurehead.errors import EXIT_USAGE, DataError, UsageError
from erasurehead.records import RunSummary
from erasurehead.runs import Run, RunWriter
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.main import main
from erasurehead_cli.report import write_report
from erasurehead_cli.report.material import gather
from erasurehead_cli.report.page import report_page
from erasurehead_cli.report.sections.summary import headline
from tests.support.delayed_runs import OVERHEAD_S, write_delayed_run
from tests.support.played_runs import MakeRun, make_record, make_start, write_run

NINE_ROUNDS = load(RunSettings, {"store": "s", "workers": 4, "rounds": 9}, environment={})
SCHEMES = ("uncoded", "egc:c=3", "agc:c=3,r=4")
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what attributes refer to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.refers: set[str] = set()
        self.loads: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        assert len(held) == len(attrs), f"an attribute twice in {tag}"
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        if "id" in held:
            self.ids.append(held["id"])
        self.refers |= set(held.get("aria-labelledby", "").split())
        self.refers |= set(re.findall(r"url\(#([\w-]+)\)", " ".join(held.values())))
        if held.get("href", "").startswith("#"):
            self.refers.add(held["href"][1:])
        self.loads += [held[name] for name in ("src", "href", "srcset", "data") if name in held]
        if tag == "img":
            assert held["alt"]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    directory = tmp_path_factory.mktemp("runs")
    return [
        write_delayed_run(directory / f"{n}-run", scheme) for n, scheme in enumerate(SCHEMES, 1)
    ]


def test_the_page_is_well_formed(runs: list[Run]) -> None:
    page = Page(report_page(runs))
    assert len(set(page.ids)) == len(page.ids)
    assert page.refers <= set(page.ids)


def test_nothing_is_loaded_from_anywhere(runs: list[Run]) -> None:
    text = report_page(runs)
    page = Page(text)
    assert all(target.startswith(("#", "data:image/png;base64,")) for target in page.loads)
    assert not page.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    assert "default-src 'none'" in text


def test_it_tells_what_was_measured(runs: list[Run]) -> None:
    material = gather(runs, None, None)
    page = Page(report_page(runs))
    for heading in (
        "Speed", "Learning", "Time of a round", "Arrivals and erasures by slot", "Decoding",
        "The master's time", "Settings",
    ):  # fmt: skip
        assert heading in page.words
    base, _, best = material.comparison.outcomes
    assert best.speedup_to_target is not None
    assert f"{best.speedup_to_target:.2f}x as fast as uncoded" in page.text
    assert f"{base.round_s / best.round_s:.2f}x" in page.words
    assert "exponential:mean_s=0.5" in page.words


def test_a_run_is_not_said_to_be_as_fast_as_itself(make_run: MakeRun) -> None:
    """Two runs of one scheme, and runs of which none is faster than the baseline."""
    first, second = make_run("uncoded", 1.0), make_run("uncoded", 1.0)
    slower, blind = make_run("egc:c=2", 2.0), make_run("uncoded", 1.0, metric=None)
    for runs in ([first, second], [first, slower], [blind, make_run("egc:c=2", 2.0, metric=None)]):
        told = headline(gather(runs, None, None))
        assert "as fast as" not in told
        assert "no other run was faster" in told or "none was shorter" in told


def test_rounds_are_their_ideal_plus_the_overhead(runs: list[Run]) -> None:
    """The records were made so; the ideal is computed from settings and seed alone."""
    material = gather(runs, None, None)
    for series, ideal in zip(material.every, material.ideals, strict=True):
        assert ideal is not None
        assert series.duration_s - ideal == pytest.approx(np.full(20, OVERHEAD_S))


def test_the_same_runs_give_the_same_bytes(runs: list[Run], tmp_path: Path) -> None:
    write_report(runs, tmp_path / "a" / "report.html")
    write_report([Run.open(r.path) for r in runs], tmp_path / "b.html")
    held = (tmp_path / "a" / "report.html").read_bytes()
    assert held == (tmp_path / "b.html").read_bytes()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["report.html"]


def test_a_single_run_is_not_compared(runs: list[Run]) -> None:
    page = Page(report_page(runs[2:]))
    assert "Speed-up a round" not in page.words
    assert "20 rounds in" in page.text
    assert "the ideal of the drawn delays" in page.text


def test_the_gap_is_drawn_where_a_run_knows_it(runs: list[Run], tmp_path: Path) -> None:
    assert "Gap to the minimum" not in report_page(runs)
    told = RunSummary("all 9 rounds done", 0, 9, 9.0, 9.0, 0.0, verdict="converged: it is near")
    settings = NINE_ROUNDS.changed(coding={"scheme": "egc:c=2"})
    with RunWriter(tmp_path / "run", settings) as writer:
        writer.started(make_start(rounds=9))
        for n in range(1, 10):
            gap = 0.1**n if n > 4 else math.nan
            writer.round_over(replace(make_record(n), gap=gap))
        writer.finished(told)
    text = report_page([Run.open(tmp_path / "run")])
    page = Page(text)
    assert "Gap to the minimum against wall clock" in page.words
    assert "gap-rounds" in page.ids
    assert "egc:c=2: 1e-05 to 1e-09" in text
    assert "1.00 s each. Converged: it is near." in page.text
    assert "converged: it is near" in page.words
    both = report_page([Run.open(tmp_path / "run"), write_run(tmp_path / "other")])
    assert "uncoded: unknown" in both


def test_thousands_of_rounds_stay_small(tmp_path: Path) -> None:
    short = report_page([write_delayed_run(tmp_path / "short", "agc:c=3,r=3", 500)])
    long = report_page([write_delayed_run(tmp_path / "long", "agc:c=3,r=3", 4000)])
    assert len(long) < 110_000
    assert len(long) < 1.6 * len(short)


def test_thousands_of_workers_stay_small(tmp_path: Path) -> None:
    run = write_delayed_run(tmp_path / "wide", "agc:c=3,r=300", 6, workers=3000)
    assert len(report_page([run])) < 150_000


def test_without_delays_there_is_no_ideal(make_run: MakeRun) -> None:
    page = Page(report_page([make_run(), make_run("agc:c=2,r=2", 0.5)]))
    assert "No delays were injected, so there is no ideal to compare with." in page.words
    assert "ideal round" not in page.words


def test_runs_without_a_metric_show_their_loss(make_run: MakeRun) -> None:
    page = Page(report_page([make_run(metric=None), make_run("egc:c=2", 0.5, metric=None)]))
    assert "Training loss against wall clock" in page.words
    assert "Speed-up to the target" not in page.words
    assert "2.00x as fast as uncoded" in page.text


def test_a_run_that_did_not_learn_is_shown(make_run: MakeRun) -> None:
    """Values that are all the same, or not finite, still make a page."""
    nothing = [float("nan")] * 3
    for values in ([0.5, 0.5, 0.5], nothing, [1.0, float("inf"), 2.0]):
        Page(report_page([make_run(values=values), make_run("egc:c=2", values=values)]))


def test_equal_schemes_are_told_apart(tmp_path: Path) -> None:
    two = [write_delayed_run(tmp_path / f"seed{n}", seed=n) for n in range(2)]
    page = Page(report_page(two))
    assert "agc:c=3,r=4 (seed0)" in page.text
    assert "did not meet the same stragglers" in page.text


def test_names_are_escaped(tmp_path: Path) -> None:
    two = [write_delayed_run(tmp_path / f"<i>{n}</i>", seed=n) for n in range(2)]
    assert "<i>" not in report_page(two)


def test_what_went_wrong_is_said(tmp_path: Path, make_run: MakeRun) -> None:
    with RunWriter(tmp_path / "cut", NINE_ROUNDS) as writer:
        writer.started(make_start())
        for record in make_run().records[:3]:
            writer.round_over(record)
        writer.model(np.zeros(3), make_start(), 3)
        writer.finished(RunSummary("interrupted", 130, 3, 3.0, 3.0, 0.0, {}, {"malformed": 2}))
    page = Page(report_page([Run.open(tmp_path / "cut")]))
    assert "ended with exit code 130: interrupted." in page.text
    assert "results were refused (2 malformed)." in page.text


def test_slots_without_a_worker_are_named(tmp_path: Path) -> None:
    """Slot 3 has a worker in the first two of nine rounds, slot 1 in all but the last."""
    with RunWriter(tmp_path / "gone", NINE_ROUNDS) as writer:
        writer.started(make_start())
        for number in range(1, 10):
            absent = {3} if number > 2 else set()
            absent |= {1} if number == 9 else set()
            there = [slot for slot in range(4) if slot not in absent]
            writer.round_over(replace(make_record(number, slots=there), stragglers=()))
        writer.model(np.zeros(3), make_start(), 9)
        writer.finished(RunSummary("all rounds done", 0, 9, 9.0, 9.0, 0.0))
    page = Page(report_page([Run.open(tmp_path / "gone")]))
    assert "of 9 rounds some had no worker for slot 3 in 7, slot 1 in 1." in page.text


def test_a_trace_that_has_gone_leaves_the_ideal_out(tmp_path: Path) -> None:
    trace = tmp_path / "trace.npz"
    np.savez(trace, delays_s=np.full((3, 12), 0.1))
    run = write_delayed_run(tmp_path / "run", delay=f"trace:file={trace}")
    assert "1.04x the ideal" in Page(report_page([run])).text
    trace.unlink()
    page = Page(report_page([run]))
    assert "its ideal could not be computed, because there is no trace file" in page.text


def test_different_problems_are_refused(tmp_path: Path, runs: list[Run]) -> None:
    other = write_delayed_run(tmp_path / "other", model="least-squares", metric="mse")
    with pytest.raises(UsageError, match=r"different problems \(model: logistic and least-"):
        report_page([runs[0], other])


def test_an_unknown_metric_is_refused(runs: list[Run]) -> None:
    with pytest.raises(UsageError, match=r"no metric 'aud' \(did you mean 'auc'\?\)"):
        report_page(runs, metric="aud")


@pytest.mark.parametrize("target", ["nan", "inf"])
def test_a_target_is_a_number(
    target: str, runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(runs[0].path), "--target", target]) == 2
    assert f"--target {target} is not a number to reach" in capsys.readouterr().err


def test_a_target_may_be_given(runs: list[Run]) -> None:
    assert "is 0.7500, against uncoded" in Page(report_page(runs, target=0.75)).text
    assert "not reached" in Page(report_page(runs, target=0.95)).words


def test_only_a_report_is_replaced(runs: list[Run], tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(runs[:1], out)
    write_report(runs, out)
    assert "Speed-up a round" in out.read_text()
    other = tmp_path / "thesis.html"
    other.write_text("years of work")
    with pytest.raises(UsageError, match=r"thesis\.html is there already and is not a report that"):
        write_report(runs, other)
    assert other.read_text() == "years of work"
    with pytest.raises(UsageError, match="is a directory"):
        write_report(runs, tmp_path)
    with pytest.raises(UsageError, match="cannot write a report"):
        write_report(runs, other / "report.html")


def test_a_run_that_is_damaged_leaves_no_report(tmp_path: Path) -> None:
    run = write_delayed_run(tmp_path / "run")
    (run.path / "rounds.jsonl").write_bytes(b"{}\n")
    with pytest.raises(DataError, match="line 1 of"):
        write_report([Run.open(run.path)], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_command_writes_beside_a_single_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_delayed_run(tmp_path / "run")
    assert main(["report", str(run.path)]) == 0
    assert capsys.readouterr().out == f"report: {run.path / 'report.html'}\n"
    assert Run.open(run.path).records == run.records


def test_the_command_takes_a_comparisons_directory(tmp_path: Path) -> None:
    for n, scheme in ((2, "egc:c=3"), (10, "agc:c=3,r=4"), (1, "uncoded")):
        write_delayed_run(tmp_path / f"{n}-x", scheme)
    out = tmp_path / "both.html"
    assert main(["report", str(tmp_path), "--out", str(out)]) == 0
    text = out.read_text()
    places = [text.index(f"</svg> {scheme}") for scheme in ("uncoded", "egc:c=3", "agc:c=3,r=4")]
    assert places == sorted(places)


def test_the_command_refuses_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_delayed_run(tmp_path / "run")
    unfinished = write_delayed_run(tmp_path / "cut")
    (unfinished.path / "summary.json").unlink()
    for arguments, words in (
        ([tmp_path / "nowhere"], "holds no run"),
        ([run.path / "config.yaml"], "holds no run"),
        ([unfinished.path], "is unfinished"),
        ([run.path, run.path], "is given twice"),
        ([run.path, "--metric", "mse"], "reports no metric 'mse'"),
        ([run.path, "--out", tmp_path], "is a directory"),
    ):
        assert main(["report", *map(str, arguments)]) == EXIT_USAGE
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
