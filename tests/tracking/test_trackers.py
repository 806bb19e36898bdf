"""Trackers, each against what its own library reads back."""

from __future__ import annotations

import json
import math
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.errors import EXIT_DIVERGED, EXIT_INTERRUPTED, EXIT_OK, UsageError
from erasurehead.process.aside import Aside
from erasurehead.records import RoundRecord, RunStart, RunSummary
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.tracking import TRACKERS, observer
from erasurehead.tracking.base import Ending, Tracked
from erasurehead.tracking.observer import Tracking
from erasurehead_cli.main import main
from tests.support.played_runs import make_record

START = RunStart("id", "uncoded", 2, 2, 5, 40, 3, 1, (1, 1), "logistic", "auto", 0.1)
ENDED = RunSummary("all 3 rounds done", EXIT_OK, 3, 1.0, 1.0, 0.0, {"auc": 0.75})
SETTINGS = {"coding.scheme": "uncoded", "coding.workers": "2"}
LIMIT_S = 60.0


def record(round_: int) -> RoundRecord:
    metrics = {"auc": 0.7} if round_ == 3 else {}
    made = make_record(round_, n_workers=2, slots=(0, 1), metrics=metrics)
    return replace(made, train_loss=math.nan if round_ == 2 else 1.0 / round_)


def play(text: str, directory: Path | None, summary: RunSummary = ENDED) -> list[str]:
    """Let a tracker see a run of three rounds; return its troubles."""
    troubles: list[str] = []
    place = None if directory is None else str(directory)
    tracker = TRACKERS.build(text, Tracked("small", place, SETTINGS))
    tracking = Tracking(tracker, troubles.append)
    tracking.started(START)
    for round_ in (1, 2, 3):
        tracking.round_over(record(round_))
    tracking.finished(summary)
    return troubles


LOSSES = [(1, 1.0), (3, pytest.approx(1 / 3))]
"""Of the rounds; a loss that is no number is left out."""


def test_tensorboard_reads_back_what_was_tracked(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    assert play("tensorboard", tmp_path) == []
    found = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [(e.step, e.value) for e in found.Scalars("train_loss")] == LOSSES
    assert [(e.step, e.value) for e in found.Scalars("test/auc")] == [(3, pytest.approx(0.7))]
    assert [e.value for e in found.Scalars("arrivals")] == [2.0, 2.0, 2.0]
    settings = found.Tensors("settings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| coding.scheme | uncoded |" in settings


@pytest.mark.parametrize(
    ("code", "state"),
    [(EXIT_OK, "FINISHED"), (EXIT_INTERRUPTED, "KILLED"), (EXIT_DIVERGED, "FAILED")],
)
def test_mlflow_reads_back_what_was_tracked(tmp_path: Path, code: int, state: str) -> None:
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    uri = (tmp_path / "store").as_uri()
    text = f"mlflow:experiment=my trial,uri={uri}"
    assert play(text, None, replace(ENDED, exit_code=code)) == []
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("my trial")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == state
    assert run.info.run_name == "small"
    assert run.data.params["coding.workers"] == "2"
    assert run.data.params["training_rows"] == "40"
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(m.step, m.value) for m in history] == LOSSES
    assert run.data.metrics["test/auc"] == 0.7
    assert run.data.tags["ending"] == "all 3 rounds done"


def test_wandb_reads_back_what_was_tracked_without_a_network(tmp_path: Path) -> None:
    wandb = pytest.importorskip("wandb", reason="Weights & Biases is not installed")
    from wandb.proto import wandb_internal_pb2

    assert play("wandb:project=trial", tmp_path) == []
    wandb.teardown()  # ends W&B's own process: tests that come later look for processes left behind
    [file] = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    rows: list[dict[str, float]] = []
    for data in log_records(whole(file, wandb_internal_pb2.Record)):
        held = wandb_internal_pb2.Record.FromString(data)
        if held.WhichOneof("record_type") == "history":
            items = held.history.item
            rows.append({i.key or "/".join(i.nested_key): float(i.value_json) for i in items})
        if held.WhichOneof("record_type") == "run":
            assert held.run.project == "trial"
            config = {u.key: json.loads(u.value_json) for u in held.run.config.update}
    assert config["coding.scheme"] == "uncoded"
    assert [(r["_step"], r["train_loss"]) for r in rows if "train_loss" in r] == LOSSES
    assert rows[-1]["test/auc"] == 0.7


def whole(file: Path, kind: Any) -> bytes:
    """Return a file when its last record is there: W&B's own process writes it."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        data = file.read_bytes()
        told = [kind.FromString(d).WhichOneof("record_type") for d in log_records(data)]
        if "exit" in told:
            return data
        time.sleep(0.05)
    raise AssertionError(f"the last record is missing: {told}")


def log_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a log of LevelDB's form after a header, as offline runs are kept.

    Blocks are of 32 KiB; a piece of a record has a checksum, a length and a kind (1: whole, 2:
    first, 3: middle, 4: last), and a block that has no room for another is filled with zeros.
    """
    place, record = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        record += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


@contextmanager
def receiver(status: int = 200) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the address of a receiver of OTLP over HTTP, and the messages that it has taken."""
    taken: list[bytes] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/metrics"
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Take) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", taken
        finally:
            server.shutdown()
            thread.join()


OTLP = "opentelemetry.exporter.otlp.proto.http.metric_exporter"


def test_a_receiver_of_otlp_reads_what_was_tracked() -> None:
    pytest.importorskip(OTLP, reason="OpenTelemetry is not installed")
    from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2

    with receiver() as (address, taken):
        assert play(f"otlp:endpoint={address},every_s=2", None) == []
    told: list[dict[str, float]] = []
    for message in taken:
        [run] = metrics_service_pb2.ExportMetricsServiceRequest.FromString(message).resource_metrics
        known = {a.key: a.value.string_value for a in run.resource.attributes}
        [scope] = run.scope_metrics
        told.append({m.name: m.gauge.data_points[0].as_double for m in scope.metrics})
    assert known["service.name"] == "erasurehead"
    assert known["erasurehead.coding.workers"] == "2"
    assert known["erasurehead.training_rows"] == "40"
    # Of rounds that close after 1, 2 and 3 seconds the first is sent, and two seconds later one.
    assert [numbers["erasurehead.round"] for numbers in told] == [1.0, 3.0, 3.0]
    assert told[1]["erasurehead.train_loss"] == pytest.approx(1 / 3)
    assert told[-1]["erasurehead.test.auc"] == 0.75
    assert told[-1]["erasurehead.finished"] == 1.0


def test_a_receiver_of_otlp_that_refuses_is_told_of() -> None:
    pytest.importorskip(OTLP, reason="OpenTelemetry is not installed")
    with receiver(status=400) as (address, taken):
        [trouble] = play(f"otlp:endpoint={address}", None)
    assert "tracker otlp failed (ConnectionError: the receiver has not taken" in trouble
    assert len(taken) == 1


class Kept:
    """A tracker that keeps what it is told, and may fail, or begin when it is let."""

    name: ClassVar[str] = "kept"

    def __init__(self, fails_at: int = 0, begins: threading.Event | None = None) -> None:
        self.told: list[Any] = []
        self.threads: set[int] = set()
        self.began, self.caught_up = threading.Event(), threading.Event()
        self._fails_at = fails_at
        self._begins = begins

    def begin(self, facts: Mapping[str, str]) -> None:
        self.began.set()
        if self._begins is not None:
            assert self._begins.wait(LIMIT_S)
        self.told.append(facts["model"])

    def round_over(self, round_: int, closed_s: float, values: Mapping[str, float]) -> None:
        if round_ == self._fails_at:
            raise OSError(28, "No space left on device")
        self.threads.add(threading.get_ident())
        self.told.append((round_, closed_s, sorted(values)))
        if round_ == 3:
            self.caught_up.set()

    def end(self, values: Mapping[str, float], ending: Ending, reason: str) -> None:
        self.told.append((values, ending))


def test_a_tracker_is_fed_in_order_on_one_other_thread() -> None:
    kept = Kept()
    tracking = Tracking(kept, pytest.fail)
    tracking.started(START)
    for round_ in range(1, 50):
        tracking.round_over(record(round_))
    tracking.finished(ENDED)
    assert [told[0] for told in kept.told[1:-1]] == list(range(1, 50))
    assert kept.told[-1] == ({"test/auc": 0.75}, "finished")
    assert len(kept.threads) == 1
    assert threading.get_ident() not in kept.threads
    assert "train_loss" not in kept.told[2][2]


def test_a_tracker_that_fails_is_told_of_once_and_the_run_goes_on() -> None:
    kept, troubles = Kept(fails_at=2), list[str]()
    tracking = Tracking(kept, troubles.append)
    tracking.started(START)
    for round_ in range(1, 6):
        tracking.round_over(record(round_))
    tracking.finished(ENDED)
    assert troubles == [
        "tracker kept failed (OSError: No space left on device); the run goes on without it"
    ]
    assert len(kept.told) == 2


def test_a_tracker_that_is_far_behind_misses_rounds_and_costs_no_more_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1. It hangs when it begins. 2. As many rounds wait as may; the next are missed, and one
    sentence says from which on. 3. It goes on, and keeps what waited and what comes after."""
    monkeypatch.setattr(observer, "MOST_WAITING", 3)
    gate = threading.Event()
    kept, troubles = Kept(begins=gate), list[str]()
    tracking = Tracking(kept, troubles.append)
    tracking.started(START)
    assert kept.began.wait(LIMIT_S)
    for round_ in range(1, 7):
        tracking.round_over(record(round_))
    assert len(troubles) == 1
    assert "tracker kept is 3 rounds behind and misses rounds from 4 on" in troubles[0]
    gate.set()
    assert kept.caught_up.wait(LIMIT_S)
    tracking.round_over(record(7))
    tracking.finished(ENDED)
    assert [told[0] for told in kept.told[1:-1]] == [1, 2, 3, 7]
    assert len(troubles) == 1


def test_a_run_that_opened_no_round_is_not_tracked() -> None:
    kept = Kept()
    Tracking(kept, pytest.fail).finished(ENDED)
    assert kept.told == []


def test_what_takes_too_long_aside_is_told_of() -> None:
    aside, gate = Aside(), threading.Event()
    aside.do(gate.wait)
    assert not aside.finish(0.01)
    gate.set()
    assert aside.finish(LIMIT_S)


@pytest.mark.parametrize(
    ("text", "told"),
    [("mlfow", "did you mean 'mlflow'"), ("wandb:mode=on", "'offline' or 'online'")],
)
def test_a_wrong_tracker_is_one_sentence(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load(RunSettings, {"store": "s", "track": [text]}, environment={})


def test_a_missing_library_is_told_of_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    libraries = {
        "tensorboard": "tensorboardX",
        "mlflow": "mlflow",
        "wandb": "wandb",
        "otlp": "opentelemetry",
    }
    absent = [name for name, library in libraries.items() if not there(library)]
    if not absent:
        pytest.skip("every tracker's library is installed")
    options = {"rows": "40", "columns": "5", "nnz": "2"}
    store = prepare("synthetic", source=None, out=tmp_path / "store", options=options).path
    out = tmp_path / "run"
    arguments = ["simulate", str(store), "--out", str(out), "--track", absent[0], "--pass-s", "1"]
    assert main(arguments) == 2
    assert f"install 'erasurehead[{absent[0]}]'" in capsys.readouterr().err
    assert not out.exists()


def there(library: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(library) is not None


def test_a_run_of_the_command_is_tracked(tmp_path: Path) -> None:
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    options = {"rows": "40", "columns": "5", "nnz": "2"}
    store = prepare("synthetic", source=None, out=tmp_path / "store", options=options).path
    out = tmp_path / "run"
    arguments = ["simulate", str(store), "--out", str(out), "--track", "tensorboard"]
    assert main([*arguments, "--rounds", "4", "--until", "none", "--pass-s", "1", "-q"]) == 0
    found = reader.EventAccumulator(str(out / "tensorboard"))
    found.Reload()
    assert [e.step for e in found.Scalars("train_loss")] == [1, 2, 3, 4]
