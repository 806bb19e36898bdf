"""A trace of a run against the delays that the run really had, which a simulated run knows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError
from erasurehead.runs import Run, RunWriter
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead_simulator.traces.recording import RecordedTrace, Source, record_trace
from erasurehead_simulator.traces.survival import Survival
from erasurehead_simulator.virtual.virtual_run import simulate

EXPONENTIAL = "exponential:mean_s=0.5"


def played(
    out: Path, store: Path, delay: str = EXPONENTIAL, pass_s: float = 0.6, **changes: object
) -> Run:
    given = {"store": str(store), "workers": 6, "rounds": 60, "step": "0.5", "delay": delay}
    settings = load(RunSettings, {**given, **changes, "out": str(out)}, environment={})
    with RunWriter(out, settings) as writer:
        simulate(settings, [writer], pass_s)
    return Run.open(out)


def true_delays_s(delay: str) -> FloatArray:
    model = DELAYS.build(delay, 6, 0)
    return np.array([model.delays_s(t, 1 / 3) for t in range(1, 61)])


def forgetting_the_delays(run: Run) -> Run:
    """The same records as a cluster whose delays nobody injected would have written."""
    config = run.path / "config.yaml"
    config.write_text(config.read_text().replace(EXPONENTIAL, "none"))
    lines = []
    for line in (run.path / "rounds.jsonl").read_text().splitlines():
        record = json.loads(line)
        for arrival in record["arrivals"]:
            arrival["delay_s"] = 0.0
        lines.append(json.dumps(record))
    (run.path / "rounds.jsonl").write_text("\n".join(lines) + "\n")
    return Run.open(run.path)


@pytest.mark.parametrize("batch", [1.0, 0.25])
def test_a_run_that_waits_for_all_is_traced_as_it_was(
    batch: float, small_store: Path, tmp_path: Path
) -> None:
    trace = record_trace(played(tmp_path / "run", small_store, scheme="uncoded", batch=batch))
    assert trace.count(Source.ARRIVAL) == trace.source.size == 360
    np.testing.assert_allclose(trace.delays_s, true_delays_s(EXPONENTIAL), atol=1e-9)
    np.testing.assert_allclose(trace.compute_s, batch * 0.1)
    np.testing.assert_allclose(trace.compute_share, 1 / 6)
    assert trace.pass_s == pytest.approx(0.6)


def test_a_run_of_partial_results_is_no_trace_of_whole_ones(
    small_store: Path, tmp_path: Path
) -> None:
    run = played(tmp_path / "run", small_store, scheme="cached:parts=tasks", rounds=3)
    with pytest.raises(DataError, match="take the trace of a run without parts=tasks"):
        record_trace(run)


def test_injected_delays_of_stragglers_are_known_from_the_seed(
    small_store: Path, tmp_path: Path
) -> None:
    trace = record_trace(played(tmp_path / "run", small_store, scheme="agc:c=2,r=3"))
    assert 0 < trace.count(Source.INJECTED) == 360 - trace.count(Source.ARRIVAL)
    np.testing.assert_allclose(trace.delays_s, true_delays_s(EXPONENTIAL), atol=1e-9)


def test_a_replay_of_the_trace_is_the_run(small_store: Path, tmp_path: Path) -> None:
    """1. A run is recorded. 2. Its trace takes the place of its delays. 3. Nothing changes."""
    first = played(tmp_path / "first", small_store, scheme="agc:c=2,r=3")
    np.savez(tmp_path / "trace.npz", **record_trace(first).arrays())
    delay = f"trace:file={tmp_path / 'trace.npz'},compute=yes"
    again = played(tmp_path / "again", small_store, delay, 0.0, scheme="agc:c=2,r=3")
    for a, b in zip(first.records, again.records, strict=True):
        assert [x.slot for x in a.arrivals] == [x.slot for x in b.arrivals]
        assert b.closed_s == pytest.approx(a.closed_s)
    assert np.array_equal(first.theta, again.theta)


@pytest.mark.parametrize(
    "delay",
    [
        EXPONENTIAL,
        "shifted-exponential:shift_s=1,mean_s=2",
        "bimodal:base_s=2,eps=0.3",
        "pareto:shape=2,scale_s=0.3,by_load=yes",
    ],
)
def test_a_replay_at_another_load_has_the_delays_of_that_load(
    delay: str, small_store: Path, tmp_path: Path
) -> None:
    """Recorded with one task of six a slot, replayed with two, and with unequal loads; and the
    trace of a replay scales as well."""
    run = played(tmp_path / "run", small_store, delay, scheme="agc:c=1,r=3")
    np.savez(tmp_path / "trace.npz", **record_trace(run).arrays())
    replay_delay = f"trace:file={tmp_path / 'trace.npz'}"
    second = played(tmp_path / "second", small_store, replay_delay, scheme="uncoded")
    np.savez(tmp_path / "again.npz", **record_trace(second).arrays())
    truth = DELAYS.build(delay, 6, 0)
    for file in ("trace.npz", "again.npz"):
        replay = DELAYS.build(f"trace:file={tmp_path / file}", 6, 0)
        for t in (1, 2, 60):
            for share in (1 / 6, 1 / 3, np.arange(1.0, 7.0) / 6):
                expected = truth.delays_s(t, share)
                np.testing.assert_allclose(replay.delays_s(t, share), expected, atol=1e-9)


def test_loads_that_change_on_the_way_are_told_and_traced(
    small_store: Path, tmp_path: Path
) -> None:
    """Tasks are placed anew by what the rounds taught, and each round has the loads of its own."""
    delay = "bimodal:base_s=1,eps=0.3"
    run = played(
        tmp_path / "run",
        small_store,
        delay,
        scheme="osgc / fixed / fraction:r=4",
        refit={"regroup_after_rounds": 8},
    )
    told = {record.round: record.load_shares for record in run.records if record.load_shares}
    assert next(iter(told)) == 1
    assert len(set(told.values())) == len(told) > 1
    trace = record_trace(run)
    assert trace.pass_s == pytest.approx(0.6)
    np.savez(tmp_path / "trace.npz", **trace.arrays())
    replay = DELAYS.build(f"trace:file={tmp_path / 'trace.npz'},compute=yes", 6, 0)
    truth = DELAYS.build(delay, 6, 0)
    for t in range(1, 61):
        for share in (1 / 6, np.arange(1.0, 7.0) / 6):
            expected = truth.delays_s(t, share) + 0.6 * share
            np.testing.assert_allclose(replay.delays_s(t, share), expected, atol=1e-9)


@pytest.mark.parametrize("told", [True, False])
def test_a_resumed_run_that_had_shrunk_is_traced(
    told: bool, small_store: Path, tmp_path: Path
) -> None:
    """Its last process began with five of six slots, so the rounds before had other loads; of older
    runs no records tell them."""
    run = played(tmp_path / "run", small_store, scheme="uncoded")
    summary = json.loads((run.path / "summary.json").read_text())
    summary["start"] |= {"n_tasks": 5, "loads": [1] * 5}
    (run.path / "summary.json").write_text(json.dumps(summary))
    if not told:
        lines = [json.loads(x) for x in (run.path / "rounds.jsonl").read_text().splitlines()]
        for line in lines:
            line.pop("load_shares")
        (run.path / "rounds.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    trace = record_trace(Run.open(run.path))
    assert trace.pass_s == pytest.approx(0.6 if told else 0.5)
    np.testing.assert_allclose(trace.delays_s, true_delays_s(EXPONENTIAL), atol=1e-9)


def test_a_record_of_a_slot_that_there_is_not_is_one_sentence(
    small_store: Path, tmp_path: Path
) -> None:
    run = played(tmp_path / "run", small_store, scheme="uncoded", rounds=2)
    lines = (run.path / "rounds.jsonl").read_text().splitlines()
    record = json.loads(lines[1])
    record["stragglers"] = [6]
    lines[1] = json.dumps(record)
    (run.path / "rounds.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"round 2 .* slot beyond its 6 workers"):
        record_trace(Run.open(run.path))


def check_drawn(trace: RecordedTrace, run: Run) -> None:
    for row, record in enumerate(run.records):
        arrived = {a.slot: a.after_s for a in record.arrivals}
        totals_s = trace.delays_s[row] + trace.compute_s[row]
        for slot, total_s in enumerate(totals_s):
            if slot in arrived:
                assert total_s == pytest.approx(arrived[slot])
                assert trace.source[row, slot] == Source.ARRIVAL
            else:
                assert total_s >= record.duration_s - 1e-12
                assert trace.source[row, slot] in (Source.DRAWN, Source.LOWER_BOUND)


def test_unknown_stragglers_are_drawn_from_beyond_the_rounds_close(
    small_store: Path, tmp_path: Path
) -> None:
    scheme = "agc:c=2,r=4"
    run = forgetting_the_delays(played(tmp_path / "run", small_store, scheme=scheme))
    trace = record_trace(run)
    check_drawn(trace, run)
    assert trace.count(Source.DRAWN) > 50
    # Better than taking stragglers for as late as the round's close: the mean of the delays.
    truth = true_delays_s(EXPONENTIAL).mean()
    floor = np.minimum(trace.delays_s, [[r.duration_s] for r in run.records]).mean()
    assert abs(trace.delays_s.mean() - truth) < 0.5 * abs(floor - truth)


def test_who_never_answers_is_a_lower_bound(small_store: Path, tmp_path: Path) -> None:
    """One slot is stuck; the others are all alike, so nothing beyond their time was ever seen."""
    run = played(
        tmp_path / "run",
        small_store,
        "persistent:count=1,slow_s=60",
        0.75,  # an eighth of a second a task: sums without rounding
        scheme="uncoded:r=5",
        rounds=5,
    )
    config = run.path / "config.yaml"
    config.write_text(config.read_text().replace("persistent:count=1,slow_s=60", "none"))
    trace = record_trace(Run.open(run.path))
    assert trace.count(Source.LOWER_BOUND) == 5


def test_late_results_are_measured(small_store: Path, tmp_path: Path) -> None:
    run = forgetting_the_delays(played(tmp_path / "run", small_store, scheme="agc:c=2,r=3"))
    lines = (run.path / "rounds.jsonl").read_text().splitlines()
    first, second = json.loads(lines[0]), json.loads(lines[1])
    straggler = first["stragglers"][0]
    second["late"] = [{"slot": straggler, "round": 1, "after_s": 7.5}]
    lines[1] = json.dumps(second)
    (run.path / "rounds.jsonl").write_text("\n".join(lines) + "\n")
    trace = record_trace(Run.open(run.path))
    assert trace.source[0, straggler] == Source.LATE_RESULT
    assert trace.delays_s[0, straggler] + trace.compute_s[0, straggler] == pytest.approx(7.5)


def test_a_run_without_rounds_is_one_sentence(small_store: Path, tmp_path: Path) -> None:
    run = played(tmp_path / "run", small_store, scheme="uncoded", rounds=1)
    summary = json.loads((run.path / "summary.json").read_text())
    summary["rounds"] = 0
    (run.path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(DataError, match="closed no round; there is nothing to trace"):
        record_trace(Run.open(run.path))


def test_survival_against_a_worked_example() -> None:
    """Times 1, 2+, 3, 3, 5+ (+: later than): S(1) = 4/5, S(3) = 4/5 * 1/3."""
    times_s = np.array([3.0, 1.0, 2.0, 5.0, 3.0])
    seen = np.array([True, True, False, False, True])
    estimate = Survival.estimate(times_s, seen)
    assert estimate.times_s.tolist() == [1.0, 3.0]
    assert estimate.survival == pytest.approx([4 / 5, 4 / 15])
    assert estimate.n_beyond(0.0) == 2
    assert estimate.n_beyond(1.0) == 1
    assert estimate.draw_beyond(0.0, 0.9) == (1.0, True)
    assert estimate.draw_beyond(0.0, 0.5) == (3.0, True)
    assert estimate.draw_beyond(0.0, 0.1) == (5.0, False)
    assert estimate.draw_beyond(2.0, 0.5) == (3.0, True)
    assert estimate.draw_beyond(2.0, 0.3) == (5.0, False)
    assert estimate.draw_beyond(9.0, 0.5) == (9.0, False)


def test_survival_of_uncensored_times_is_their_own_distribution() -> None:
    times_s = np.random.default_rng(0).exponential(1.0, 400)
    estimate = Survival.estimate(times_s, np.ones(400, dtype=bool))
    drawn = [estimate.draw_beyond(1.0, u)[0] for u in np.linspace(0, 1, 2000, endpoint=False)]
    assert np.mean(drawn) == pytest.approx(times_s[times_s > 1.0].mean(), rel=0.01)
