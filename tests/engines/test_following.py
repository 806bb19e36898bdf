"""What a worker does after each look at its master's file."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from erasurehead.errors import EXIT_MASTER_LOST, EXIT_OK, EXIT_REFUSED, EXIT_USAGE, UsageError
from erasurehead.process.version import installed_version
from erasurehead.settings.sources import load
from erasurehead.settings.tree import WorkerSettings
from erasurehead_engines.following import End, Join, Place, Wait, follow, next_move
from erasurehead_engines.posting import Posting, Start, post

START = Start(job="71", step="0", restarts=1)
OWN = Place(Path("/shared/address.json"), "n2", "0.2.0", START)
LATE = replace(OWN, start=None)
LISTENING = Posting(
    version="0.2.0", start=START, host="n1", state="listening", address="tcp://10.0.0.1:4711"
)


@pytest.mark.parametrize("place", [OWN, LATE])
def test_a_master_that_listens_is_joined(place: Place) -> None:
    assert next_move(LISTENING, place) == Join(LISTENING)


@pytest.mark.parametrize("place", [OWN, LATE])
def test_without_a_file_a_worker_waits_and_knows_why(place: Place) -> None:
    move = next_move(None, place)
    assert isinstance(move, Wait)
    assert "no master has written its address to /shared/address.json" in move.why
    assert "on a file system which it shares with n2" in move.remedy


@pytest.mark.parametrize(
    "earlier", [{"restarts": 0}, {"step": "1"}, {"job": "70"}], ids=["restart", "step", "job"]
)
def test_the_file_of_an_earlier_start_is_none_for_the_job_s_own(earlier: dict[str, object]) -> None:
    """A worker of another job takes it: it cannot know which start is the last one."""
    found = LISTENING.model_copy(update={"start": START.model_copy(update=earlier)})
    move = next_move(found, OWN)
    assert isinstance(move, Wait)
    assert "is of an earlier start (job" in move.why
    assert next_move(found, LATE) == Join(found)


def test_workers_end_with_their_run_and_others_wait_for_its_successor() -> None:
    """1. A run that is over ends all. 2. Of a master that has left, the job's own workers end, and
    those of other jobs wait for the next one. 3. All wait for one that starts.
    """
    over = LISTENING.gone("over", "all rounds are done", 0)
    assert next_move(over, OWN) == next_move(over, LATE)
    assert next_move(over, OWN) == End(EXIT_OK, "the run is over: all rounds are done")
    left = LISTENING.gone("left", "asked to end by SIGTERM")
    assert next_move(left, OWN) == End(EXIT_OK, "the master has left: asked to end by SIGTERM")
    assert isinstance(next_move(left, LATE), Wait)
    starting = LISTENING.gone("starting", "")
    assert isinstance(next_move(starting, OWN), Wait)
    assert isinstance(next_move(starting, LATE), Wait)


def test_another_version_is_refused_by_name() -> None:
    move = next_move(LISTENING, replace(OWN, version="0.1.0"))
    assert isinstance(move, End)
    assert move.code == EXIT_REFUSED
    assert move.reason == (
        "n2 has ErasureHead 0.1.0 and the master on n1 has 0.2.0; install the same version on all"
        " nodes"
    )


def test_an_address_that_only_its_own_node_reaches_is_refused() -> None:
    """1. From another node, in a sentence. 2. From the master's own node it is joined."""
    here = LISTENING.model_copy(update={"address": "tcp://127.0.0.1:4711"})
    move = next_move(here, OWN)
    assert isinstance(move, End)
    assert move.code == EXIT_USAGE
    assert "listens at tcp://127.0.0.1:4711, which n2 cannot reach" in move.reason
    assert "--bind tcp://ADDRESS:*" in move.reason
    assert next_move(here, replace(OWN, host="n1")) == Join(here)


def settings(path: Path) -> WorkerSettings:
    given = {"address_file": str(path), "retry_limit_s": "0.05"}
    return load(WorkerSettings, given, environment={})


def test_a_worker_gives_up_in_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """1. There is no file. 2. Nobody listens where the file says."""
    path = tmp_path / "address.json"
    assert follow(settings(path), 0, START) == EXIT_MASTER_LOST
    assert f"written its address to {path}, after 0.05 s; see that the master has" in caplog.text
    here = {
        "address": "tcp://127.0.0.1:1",
        "host": socket.gethostname(),
        "version": installed_version(),
    }
    post(path, LISTENING.model_copy(update=here))
    assert follow(settings(path), 0, START) == EXIT_MASTER_LOST
    assert f"at tcp://127.0.0.1:1, which {path} names (127.0.0.1: connection refused)" in (
        caplog.text
    )


def test_a_late_worker_of_a_run_that_is_over_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "address.json"
    post(path, LISTENING.gone("over", "all rounds are done", 0))
    assert follow(settings(path)) == EXIT_OK


def test_a_worker_has_one_way_to_its_master() -> None:
    for name, value in (("connect", "tcp://h:1"), ("keys", {"secret": "a", "master": "b"})):
        given = {"address_file": "f.json", name: value}
        with pytest.raises(UsageError, match=r"address_file=f\.json says where .* contradicts it"):
            load(WorkerSettings, given, environment={})
