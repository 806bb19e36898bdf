"""A run's directory: what was written is read back, and nothing less is taken for a run."""

from __future__ import annotations

import json
import math
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.errors import DataError, UsageError
from erasurehead.records import Arrival, Late, RoundRecord, RunStart, RunSummary
from erasurehead.runs import Claim, Origin, Run, RunWriter, appender, lines_beyond, recorded_rounds
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, RunSettings, SlurmSettings

SETTINGS = load(RunSettings, {"store": "stores/x", "scheme": "egc:c=3", "seed": 7}, environment={})
THETA = np.linspace(-1.0, 1.0, 5)
START = RunStart(
    run="abc",
    scheme="egc:c=3",
    n_workers=3,
    n_tasks=3,
    columns=5,
    training_rows=30,
    rounds=2,
    first_round=1,
    loads=(3, 3, 3),
    model="logistic",
    step="constant:eta=1.0",
    ready_s=0.5,
    l2=0.25,
)
SUMMARY = RunSummary(
    reason="all rounds done",
    exit_code=0,
    rounds=2,
    wall_s=2.0,
    rounds_s=1.9,
    evaluation_s=0.1,
    metrics={"auc": 0.75},
    refused={"malformed": 1},
)


def record(round_: int = 1) -> RoundRecord:
    return RoundRecord(
        round=round_,
        opened_s=1.0 * round_,
        closed_s=1.0 * round_ + 0.9,
        reason="exact",
        arrivals=(Arrival(2, 0.1, 0.05, 0.04), Arrival(0, 0.2)),
        stragglers=(1,),
        erased_tasks=0,
        decode_error=0.0,
        amplification=1.0,
        gradient_norm=3.5,
        step_size=0.1,
        train_loss=0.69,
        bytes_out=300,
        bytes_in=200,
        encode_s=0.001,
        wait_s=0.8,
        decode_s=0.002,
        step_s=0.003,
        late=(Late(1, round_ - 1, 1.2),),
        metrics={"auc": 0.7},
    )


def write(directory: Path, *records: RoundRecord, settings: RunSettings = SETTINGS) -> RunWriter:
    """Play a whole run into a directory."""
    writer = RunWriter(directory, settings)
    writer.started(START)
    for each in records:
        writer.round_over(each)
    writer.model(THETA, START, len(records))
    writer.finished(replace(SUMMARY, rounds=len(records)))
    return writer


@contextmanager
def full_disk(bytes_left_in_a_file: int) -> Iterator[None]:
    """Let the system refuse to make any file longer than this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left_in_a_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_run_is_read_back_as_it_was(tmp_path: Path) -> None:
    records = [record(1), replace(record(2), metrics={}, late=(), reason='a "quoted"\nreason é')]
    writer = write(tmp_path / "a" / "run", *records)
    assert writer.whole
    run = Run.open(tmp_path / "a" / "run")
    assert run.settings == SETTINGS
    assert run.records == records
    assert list(run) == records
    assert run.start == START
    assert run.summary == SUMMARY
    assert run.lost_writes == 0
    np.testing.assert_array_equal(run.theta, THETA)
    assert run.model["model"] == "logistic"
    assert (run.learnt.name, run.learnt.n_parameters) == ("logistic", 5)
    assert run.model["rounds"] == 2
    assert run.model["seed"] == 7
    assert not [p for p in (tmp_path / "a" / "run").iterdir() if p.name.startswith(".")]


finite_or_not = st.floats() | st.integers(-(2**60), 2**60).map(float)


@given(
    values=st.tuples(finite_or_not, finite_or_not, finite_or_not),
    metrics=st.dictionaries(st.text(max_size=5), finite_or_not, max_size=3),
    reason=st.text(),
    arrivals=st.lists(
        st.builds(Arrival, st.integers(0, 10**6), finite_or_not, finite_or_not), max_size=4
    ),
    late=st.lists(st.builds(Late, st.integers(0, 99), st.integers(1, 99), finite_or_not)),
    size=st.integers(0, 2**62),
)
def test_any_record_survives_but_infinity_becomes_nan(
    tmp_path_factory: pytest.TempPathFactory,
    values: tuple[float, float, float],
    metrics: dict[str, float],
    reason: str,
    arrivals: list[Arrival],
    late: list[Late],
    size: int,
) -> None:
    """1. Write a record of arbitrary content. 2. Read it. 3. Only infinities have changed."""
    loss, error, norm = values
    written = replace(
        record(),
        train_loss=loss,
        decode_error=error,
        gradient_norm=norm,
        metrics=metrics,
        reason=reason,
        arrivals=tuple(arrivals),
        late=tuple(late),
        bytes_in=size,
    )
    directory = tmp_path_factory.mktemp("run") / "run"
    write(directory, written)
    [read] = Run.open(directory).records

    def seen(each: RoundRecord) -> str:
        """Represent a record with every number that JSON cannot hold as nan."""
        return repr(each).replace("-inf", "nan").replace("inf", "nan")

    assert seen(replace(read, reason="")) == seen(replace(written, reason=""))
    assert read.reason == written.reason


def test_a_line_has_the_keys_of_the_design_and_strict_json(tmp_path: Path) -> None:
    write(tmp_path / "run", replace(record(), train_loss=math.nan, metrics={"auc": math.inf}))
    [line] = (tmp_path / "run" / "rounds.jsonl").read_text().splitlines()
    held = json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert list(held) == list(record().to_json())
    assert held["train_loss"] is None
    assert held["metrics"] == {"auc": None}
    assert list(held["arrivals"][0])[:2] == ["slot", "after_s"]


def test_every_round_is_readable_while_the_run_goes_on(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", SETTINGS) as writer:
        for n in range(1, 4):
            writer.round_over(record(n))
            run = Run.open(tmp_path / "run", allow_unfinished=True)
            assert [r.round for r in run] == list(range(1, n + 1))
    assert run.summary is None
    with pytest.raises(DataError, match=r"unfinished: there is no summary\.json"):
        Run.open(tmp_path / "run")


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", SETTINGS) as writer:
        writer.round_over(record(1))
    with (tmp_path / "run" / "rounds.jsonl").open("a") as file:
        file.write('{"round":2,"ope')
    assert Run.open(tmp_path / "run", allow_unfinished=True).records == [record(1)]


def test_notices_are_one_line_each_with_their_time(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", SETTINGS) as writer:
        writer.notice("warning", "worker 3\nis gone")
    [line] = (tmp_path / "run" / "events.log").read_text().splitlines()
    stamp, rest = line.split(" ", 1)
    assert stamp.endswith("+00:00")
    assert rest == "warning worker 3 is gone"


@pytest.mark.parametrize(
    ("cls", "own"),
    [
        (RunSettings, {}),
        (MasterSettings, {"bind": "tcp://127.0.0.1:1234"}),
        (SlurmSettings, {"address_file": "here.json"}),
        (SlurmSettings, {}),
    ],
)
def test_the_kind_of_settings_is_kept_and_the_environment_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cls: type[RunSettings], own: dict[str, str]
) -> None:
    settings = load(cls, {"store": "s3://bucket/x", **own}, environment={})
    write(tmp_path / "run", settings=settings)
    monkeypatch.setenv("ERASUREHEAD_SEED", "99")
    assert Run.open(tmp_path / "run").settings == settings


@pytest.mark.parametrize(
    "held", ["config.yaml", "rounds.jsonl", "events.log", "model.npz", "summary.json"]
)
def test_a_directory_with_a_run_is_refused(tmp_path: Path, held: str) -> None:
    (tmp_path / held).write_text("")
    with pytest.raises(UsageError, match=r"already holds a run .*; name another one with --out"):
        RunWriter(tmp_path, SETTINGS)
    assert [p.name for p in tmp_path.iterdir()] == [held]


@pytest.mark.parametrize("held", ["report.html", "rounds.png"])
def test_a_directory_with_what_would_be_written_over_is_refused(tmp_path: Path, held: str) -> None:
    (tmp_path / held).write_text("mine")
    with pytest.raises(UsageError, match=rf"already holds what would be written over \({held}\)"):
        RunWriter(tmp_path, SETTINGS)


def test_a_store_is_no_place_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match="is a store, and a run goes into a directory of its own"):
        RunWriter(tmp_path, SETTINGS)
    assert [p.name for p in tmp_path.iterdir()] == ["manifest.json"]


def test_a_directory_with_other_things_is_taken(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert write(tmp_path).whole


def test_a_directory_belongs_to_one_run_at_a_time(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    told = rf"a run goes on in {directory} \(host {os.uname().nodename}, process {os.getpid()}\)"
    with RunWriter(directory, SETTINGS) as writer:
        for after in (None, 0):
            with pytest.raises(UsageError, match=told):
                RunWriter(directory, SETTINGS, resume_after=after)
        writer.started(START)
        writer.finished(replace(SUMMARY, rounds=0))
        with Claim(directory):  # it is over as soon as its summary is written
            pass
    assert not (directory / "run.lock").exists()


def test_an_unfinished_run_that_goes_on_says_where(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run", SETTINGS) as writer:
        writer.started(START)
        with pytest.raises(
            DataError, match=rf"it goes on \(host .*, process {os.getpid()}\); wait"
        ):
            Run.open(tmp_path / "run")
    with pytest.raises(DataError, match="still going on or was cut off"):
        Run.open(tmp_path / "run")


def test_a_claim_leaves_no_directory_behind_that_nothing_was_put_into(tmp_path: Path) -> None:
    with Claim(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    with Claim(tmp_path / "mine"):
        pass
    assert (tmp_path / "mine").is_dir()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write the run to"):
        RunWriter(tmp_path / "file" / "run", SETTINGS)
    with pytest.raises(UsageError, match="or is a file"):
        RunWriter(tmp_path / "file", SETTINGS)


@pytest.mark.parametrize("mine", [[], ["notes.txt"]])
def test_a_run_that_never_began_leaves_nothing(tmp_path: Path, mine: list[str]) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    for name in mine:
        (directory / name).write_text("mine")

    def fail_before_the_first_round() -> None:
        with RunWriter(directory, SETTINGS) as writer:
            writer.notice("info", "about to begin")
            raise UsageError("no such scheme")

    with pytest.raises(UsageError, match="no such scheme"):
        fail_before_the_first_round()
    assert [p.name for p in tmp_path.rglob("*.*")] == mine
    assert directory.exists() == bool(mine)


def test_a_run_that_broke_down_keeps_its_rounds(tmp_path: Path) -> None:
    def break_down() -> None:
        with RunWriter(tmp_path / "run", SETTINGS) as writer:
            writer.started(START)
            writer.round_over(record(1))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        break_down()
    assert Run.open(tmp_path / "run", allow_unfinished=True).records == [record(1)]


def test_a_full_disk_is_reported_once_and_nothing_is_lost_when_it_has_room_again(
    tmp_path: Path,
) -> None:
    """1. One round is written. 2. The disk takes half a line more. 3. Two rounds close.
    4. There is room again. 5. The next round writes all of them, each line whole."""
    told: list[str] = []
    writer = RunWriter(tmp_path / "run", SETTINGS, told.append)
    writer.started(START)
    writer.round_over(record(1))
    size = (tmp_path / "run" / "rounds.jsonl").stat().st_size
    with full_disk(size + size // 2):
        writer.round_over(record(2))
        writer.round_over(record(3))
    assert len(told) == 1
    assert "the run goes on" in told[0]
    assert writer.lost_writes == 2
    writer.round_over(record(4))
    writer.model(THETA, START, 4)
    writer.finished(replace(SUMMARY, rounds=4))
    assert writer.whole
    run = Run.open(tmp_path / "run")
    assert [r.round for r in run] == [1, 2, 3, 4]
    assert run.lost_writes == 2


def test_rounds_that_wait_have_a_bound_and_none_is_lost_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1. The disk takes two rounds and no more. 2. As many wait as there is room for; the others
    are lost, and one sentence says from which on. 3. There is room again: what waited is written,
    and nothing behind the gap. The run has its model and counts as unfinished; `recorded_rounds`
    are a sound beginning."""
    write(tmp_path / "measured", record(1))
    line = (tmp_path / "measured" / "rounds.jsonl").stat().st_size
    monkeypatch.setattr(appender, "KEPT_BYTES", 3 * line)
    monkeypatch.setattr(appender, "PIECE_BYTES", 2 * line)
    told: list[str] = []
    path = tmp_path / "run" / "rounds.jsonl"
    writer = RunWriter(tmp_path / "run", SETTINGS, told.append)
    writer.started(START)
    for round_ in (1, 2):
        writer.round_over(record(round_))
    with full_disk(2 * line):
        for round_ in range(3, 9):
            writer.round_over(record(round_))
            writer.notice("warning", "x" * line)
    assert len(told) == 2
    assert "rounds from 6 on are not recorded" in told[1]
    for round_ in (9, 10):
        writer.round_over(record(round_))
    writer.model(THETA, START, 10)
    writer.finished(replace(SUMMARY, rounds=10))
    assert not writer.whole
    assert recorded_rounds(tmp_path / "run") == 5
    assert len(path.read_text().splitlines()) == 5
    assert "3 events found no room and are lost" in (tmp_path / "run" / "events.log").read_text()
    with pytest.raises(DataError, match="unfinished"):
        Run.open(tmp_path / "run")
    kept = Run.open(tmp_path / "run", allow_unfinished=True)
    np.testing.assert_array_equal(kept.theta, THETA)


def test_a_model_that_is_mostly_zeros_takes_little_room(tmp_path: Path) -> None:
    """And is read as any other."""
    theta = np.zeros(100_000)
    theta[::1000] = np.random.default_rng(0).standard_normal(100)
    writer = RunWriter(tmp_path / "run", SETTINGS)
    writer.started(START)
    writer.round_over(record(1))
    writer.model(theta, START, 1)
    writer.finished(replace(SUMMARY, rounds=1))
    assert (tmp_path / "run" / "model.npz").stat().st_size < theta.nbytes / 100
    np.testing.assert_array_equal(Run.open(tmp_path / "run").theta, theta)


def test_a_disk_that_stays_full_leaves_no_whole_run(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", SETTINGS, lambda sentence: None)
    writer.started(START)
    with full_disk(10):
        writer.round_over(record(1))
        writer.model(THETA, START, 1)
        writer.finished(SUMMARY)
    assert not writer.whole
    with pytest.raises(DataError, match="unfinished"):
        Run.open(tmp_path / "run")
    assert not (tmp_path / "run" / "model.npz").exists()
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith(".")]


def damage(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("name", "old", "new", "sentence"),
    [
        ("rounds.jsonl", '"round":2', '"round":"two"', r"line 2 of .* is damaged: round: "),
        ("rounds.jsonl", '"round":2', '"round":1', r"line 2 holds round 1 after round 1"),
        ("rounds.jsonl", '"round":2', '"ruond":2', r"line 2 of .* is damaged: round: "),
        ("rounds.jsonl", '{"round":1', "[", r"line 1 of .* is damaged"),
        ("rounds.jsonl", '{"round":1', '\n{"round":1', r"line 1 of .* is damaged"),
    ],
)
def test_damaged_rounds_are_one_sentence(
    tmp_path: Path, name: str, old: str, new: str, sentence: str
) -> None:
    write(tmp_path / "run", record(1), record(2))
    damage(tmp_path / "run" / name, old, new)
    with pytest.raises(DataError, match=sentence):
        _ = Run.open(tmp_path / "run").records


@pytest.mark.parametrize("keep", [0, 1])
def test_missing_rounds_are_noticed(tmp_path: Path, keep: int) -> None:
    write(tmp_path / "run", record(1), record(2))
    path = tmp_path / "run" / "rounds.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:keep]))
    with pytest.raises(DataError, match=rf"holds {keep} rounds, but summary.json says 2"):
        _ = Run.open(tmp_path / "run").records
    path.unlink()
    with pytest.raises(DataError, match=r"cannot read .*rounds\.jsonl"):
        _ = Run.open(tmp_path / "run").records


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"rounds": 3}', '{"rounds": null}'])
def test_a_damaged_summary_is_one_sentence(tmp_path: Path, text: str) -> None:
    write(tmp_path / "run", record(1))
    (tmp_path / "run" / "summary.json").write_text(text)
    with pytest.raises(DataError, match=r"summary\.json is damaged: "):
        Run.open(tmp_path / "run")


@pytest.mark.parametrize("text", ["", "[]", "store: [1", "problem: {store: x}\nwrokers: 3\n", "\0"])
def test_a_damaged_configuration_is_one_sentence(tmp_path: Path, text: str) -> None:
    write(tmp_path / "run", record(1))
    (tmp_path / "run" / "config.yaml").write_text(text)
    with pytest.raises(DataError, match=r"config\.yaml is damaged: "):
        Run.open(tmp_path / "run")


def test_what_is_not_a_run_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no run: there is no config\.yaml"):
        Run.open(tmp_path)
    with pytest.raises(DataError, match="holds no run"):
        Run.open(tmp_path / "nowhere")


def test_a_damaged_or_missing_model_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path / "run", record(1))
    path = tmp_path / "run" / "model.npz"
    whole = path.read_bytes()
    for broken in (b"", whole[:100], whole[:-40], b"theta", b"\x93NUMPY"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"model\.npz is damaged: "):
            _ = Run.open(tmp_path / "run").theta
    np.savez(path, theta=np.zeros((2, 2)))
    with pytest.raises(DataError, match="should hold 'theta'"):
        _ = Run.open(tmp_path / "run").theta
    np.savez(path, theta=np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"model\.npz is damaged: "):
        _ = Run.open(tmp_path / "run").theta
    path.unlink()
    with pytest.raises(DataError, match="holds no model"):
        _ = Run.open(tmp_path / "run").theta


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"theta": np.full(5, np.nan)}, "its 'theta' has numbers that are not finite"),
        ({"columns": "five"}, "its 'columns' is no whole number"),
        ({"labels": "colours"}, "its 'labels' are none of "),
        ({"classes": np.array(["a", "b", "c"])}, "its 'classes' are not those of two classes"),
        ({"classes": np.array(["a"])}, "its 'classes' are not those of two classes"),
        ({"classes": None}, "its 'classes' are not those of two classes"),
        ({"labels": "numbers"}, "its 'classes' are not those of numbers"),
    ],
)
def test_what_a_model_cannot_hold_is_damage(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    write(tmp_path / "run", record(1))
    path = tmp_path / "run" / "model.npz"
    with np.load(path) as archive:
        held = {**archive, **Origin("two classes", ("no", "yes")).arrays(), **change}
    np.savez(path, **{name: value for name, value in held.items() if value is not None})
    run = Run.open(tmp_path / "run")
    with pytest.raises(DataError, match=rf"model\.npz is damaged: {told}"):
        _ = run.learnt, run.origin


def test_classes_of_another_type_than_the_file_says_are_damaged(tmp_path: Path) -> None:
    held = Origin("two classes", ("0", "x")).arrays()
    assert Origin.read(held, "model.npz") is not None
    with pytest.raises(DataError, match="its 'classes' are not of the type int"):
        Origin.read({**held, "class_type": "int"}, "model.npz")
    with pytest.raises(DataError, match="its 'class_type' is 'object'"):
        Origin.read({**held, "class_type": "object"}, "model.npz")


def test_a_model_with_other_parameters_than_it_should_have_is_damaged(tmp_path: Path) -> None:
    write(tmp_path / "run", record(1), record(2))
    path = tmp_path / "run" / "model.npz"
    with np.load(path) as archive:
        held = dict(archive)
    np.savez(path, **{**held, "theta": THETA[:3]})
    with pytest.raises(DataError, match=r"logistic of 5 columns has 5 parameters, and it holds 3"):
        _ = Run.open(tmp_path / "run").learnt


def test_what_was_called_an_objective_is_read_as_a_model(tmp_path: Path) -> None:
    """Files of 0.1 say `objective`, in the summary and beside the parameters."""
    write(tmp_path / "run", record(1), record(2))
    summary, model = tmp_path / "run" / "summary.json", tmp_path / "run" / "model.npz"
    summary.write_text(summary.read_text().replace('"model"', '"objective"'))
    with np.load(model) as archive:
        held = {"objective" if name == "model" else name: archive[name] for name in archive.files}
    np.savez(model, **held)
    run = Run.open(tmp_path / "run")
    assert run.start == START
    assert run.learnt.name == "logistic"


@pytest.mark.parametrize(
    ("held", "recorded", "beyond"),
    [
        (["{}"], 0, 1),
        (['{"round": 1}'], 1, 0),
        (['{"round": 1}', '{"rou'], 1, 0),
        (['{"round": 1}', "damaged", '{"round": 3}', '{"rou'], 1, 2),
    ],
)
def test_a_torn_last_line_is_no_damage_and_one_in_the_middle_is(
    tmp_path: Path, held: list[str], recorded: int, beyond: int
) -> None:
    text = "\n".join(held) + ("" if held[-1] == '{"rou' else "\n")
    (tmp_path / "rounds.jsonl").write_text(text)
    assert recorded_rounds(tmp_path) == recorded
    assert lines_beyond(tmp_path, recorded) == beyond


def test_without_records_nothing_is_beyond_them(tmp_path: Path) -> None:
    assert lines_beyond(tmp_path, 0) == 0
