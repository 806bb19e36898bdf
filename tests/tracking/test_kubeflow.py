"""The status of a TrainJob, as a small HTTPS server with an authority of our own hears it."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.errors import EXIT_DIVERGED, EXIT_INTERRUPTED, EXIT_OK
from erasurehead.process import bulletin
from erasurehead.process.bulletin import GIVE_UP_S, Bulletin, StatusServer
from erasurehead.records import RoundRecord, RunStart, RunSummary
from erasurehead.tracking.kubeflow import PREFIXES, KubeflowTracker, server_of
from erasurehead.tracking.observer import Tracking
from erasurehead.tracking.values import ending_of
from erasurehead_cli.main import main
from tests.support.https_server import Desk, https_server, make_certificates
from tests.support.played_runs import make_record
from tests.support.trainer_facts import TrainerStatus, UpdateTrainJobStatusRequest

ROUNDS = 4
START = RunStart("id", "uncoded", 2, 2, 5, 40, ROUNDS, 1, (1, 1), "logistic", "auto", 0.1)
DONE = RunSummary("all 4 rounds done", EXIT_OK, ROUNDS, 1.0, 1.0, 0.0, {"auc": 0.75})
STOPPED = RunSummary("asked to end by SIGTERM", EXIT_OK, 2, 1.0, 1.0, 0.0)
PATH = "/apis/trainer.kubeflow.org/v1alpha1/namespaces/a/trainjobs/b/status"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificates, is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


def variables(prefix: str, folder: Path, port: int) -> dict[str, str]:
    """Return what the controller sets, and write the token's file."""
    (folder / "token").write_text("first\n")
    return {
        f"{prefix}URL": f"https://localhost:{port}{PATH}",
        f"{prefix}CA_CERT": str(folder / "ca.crt"),
        f"{prefix}TOKEN": str(folder / "token"),
    }


def server_at(folder: Path, port: int) -> StatusServer:
    found = server_of(variables(PREFIXES[0], folder, port))
    assert found is not None
    return found


def record(round_: int) -> RoundRecord:
    metrics = {"auc": 0.7} if round_ == 2 else {}
    return replace(make_record(round_, 10.0, metrics=metrics), train_loss=1.0 / round_)


def play(server: StatusServer, summary: RunSummary = DONE, *, rounds: int = ROUNDS) -> list[str]:
    """Track a run whose rounds are all due; return the troubles."""
    troubles: list[str] = []
    tracking = Tracking(KubeflowTracker(Bulletin(server, every_s=0.0)), troubles.append)
    tracking.started(START)
    for round_ in range(1, rounds + 1):
        tracking.round_over(record(round_))
    tracking.finished(summary)
    return troubles


def statuses(desk: Desk) -> list[TrainerStatus]:
    """Return what was heard, which the schema has to allow."""
    bodies = [json.loads(heard.body) for heard in desk.heard]
    return [UpdateTrainJobStatusRequest.model_validate(body).trainer_status for body in bodies]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_trainjob_is_told_how_far_its_run_is(certificates: Path, prefix: str) -> None:
    with https_server(certificates / "server.pem") as desk:
        server = server_of(variables(prefix, certificates, desk.port))
        assert server is not None
        assert play(server) == []
    assert {(h.path, h.authorization) for h in desk.heard} == {(PATH, "Bearer first")}
    told = statuses(desk)
    assert [s.progress_percentage for s in told] == [0, 25, 50, 75, 100, 100]
    assert [s.estimated_remaining_seconds for s in told] == [None, None, 20, 10, 0, 0]
    assert all(s.last_updated_time.utcoffset() is not None for s in told)
    numbers = [{m.name: m.value for m in s.metrics} for s in told]
    assert [n.get("train_loss") for n in numbers] == [None, "1", "0.5", "0.333333", "0.25", "0.25"]
    assert [n.get("test/auc") for n in numbers] == [None, None, "0.7", "0.7", "0.7", "0.75"]


def test_a_run_that_was_asked_to_end_is_not_all_done(certificates: Path) -> None:
    with https_server(certificates / "server.pem") as desk:
        assert play(server_at(certificates, desk.port), STOPPED, rounds=2) == []
    told = statuses(desk)
    assert [s.progress_percentage for s in told] == [0, 25, 50, 50]
    assert told[-1].estimated_remaining_seconds is None


@pytest.mark.parametrize(
    ("code", "rounds", "met", "ending"),
    [
        (EXIT_OK, 4, "", "finished"),
        (EXIT_OK, 2, "gap:1e-3", "finished"),
        (EXIT_OK, 2, "", "interrupted"),
        (EXIT_INTERRUPTED, 2, "", "interrupted"),
        (EXIT_DIVERGED, 4, "", "failed"),
    ],
)
def test_a_run_ends_in_one_word(code: int, rounds: int, met: str, ending: str) -> None:
    summary = RunSummary("", code, rounds, 1.0, 1.0, 0.0, met=met)
    assert ending_of(summary, ROUNDS) == ending


def test_a_token_that_was_renewed_is_read_again(certificates: Path) -> None:
    with https_server(certificates / "server.pem") as desk:
        server = server_at(certificates, desk.port)
        server.post({})
        (certificates / "token").write_text("second")
        server.post({})
    assert [h.authorization for h in desk.heard] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("code", [401, 403, 307, 422])
def test_a_server_that_refuses_is_told_of_once_and_left_alone(
    certificates: Path, code: int
) -> None:
    """A redirect is refused as well: the token is for this server only."""
    with https_server(certificates / "server.pem", [code]) as desk:
        assert play(server_at(certificates, desk.port)) == [
            f"tracker kubeflow failed (RefusedError: HTTP {code}: "
            '{"message": "said by the server"}); the run goes on without it'
        ]
    assert len(desk.heard) == 1


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_server_in_trouble_is_tried_again(certificates: Path, code: int) -> None:
    with https_server(certificates / "server.pem", [200, code, code]) as desk:
        assert play(server_at(certificates, desk.port)) == []
    assert len(desk.heard) == ROUNDS + 2
    assert statuses(desk)[-1].progress_percentage == 100


def test_a_server_that_another_authority_signed_gets_no_token(
    certificates: Path, tmp_path: Path
) -> None:
    make_certificates(tmp_path)
    with https_server(tmp_path / "server.pem") as desk:
        [trouble] = play(server_at(certificates, desk.port))
    assert desk.heard == []
    assert "certificate" in trouble


def test_a_token_goes_over_https_only(certificates: Path) -> None:
    server = StatusServer("http://localhost/status", token=str(certificates / "token"))
    [trouble] = play(server)
    assert "is no https:// address" in trouble


def test_a_server_that_never_answers_holds_no_round_up(
    certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rounds are over before it is given up, and the end waits for it for a moment only."""
    monkeypatch.setattr(bulletin, "PATIENCE_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        [trouble] = play(server_at(certificates, silent.getsockname()[1]))
    assert "timed out" in trouble


def test_a_server_is_given_up_after_some_time(certificates: Path) -> None:
    """On virtual time: ten minutes without a success, and not the first time nobody answers."""
    now = 0.0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    board = Bulletin(server_at(certificates, port), every_s=5.0, clock=lambda: now)
    assert board.due
    board.post({})
    assert not board.due, "nor is it asked all the time"
    now = GIVE_UP_S
    assert board.due
    board.post({})
    now = GIVE_UP_S + 1
    with pytest.raises(OSError, match="refused"):
        board.post({})
    now = 0.0
    with pytest.raises(OSError, match="refused"):
        board.post({}, last=True)


def test_no_server_is_named_outside_of_a_trainjob() -> None:
    assert server_of({"KUBEFLOW_TRAINER_SERVER_URL": "", "OTHER": "https://localhost"}) is None


def test_a_run_of_the_command_tells_its_trainjob_by_itself(
    certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"rows": "40", "columns": "5", "nnz": "2"}
    store = prepare("synthetic", source=None, out=tmp_path / "store", options=options).path
    arguments: list[Any] = ["simulate", str(store), "--out", str(tmp_path / "run"), "--rounds", "4"]
    with https_server(certificates / "server.pem") as desk:
        for name, value in variables(PREFIXES[0], certificates, desk.port).items():
            monkeypatch.setenv(name, value)
        assert main([*arguments, "--until", "none", "--pass-s", "1", "-q"]) == EXIT_OK
    told = statuses(desk)
    assert [told[0].progress_percentage, told[-1].progress_percentage] == [0, 100]
    assert "train_loss" in {m.name for m in told[-1].metrics}
