"""The file in which a master says where it is."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from erasurehead.errors import UsageError
from erasurehead_engines.posting import Posting, Start, post, read

START = Start(job="71", step="0", restarts=1)
POSTING = Posting(
    version="0.2.0",
    start=START,
    host="n1",
    state="listening",
    address="tcp://10.0.0.1:4711",
    public="public half",
    secrets=("one", "two", "late one", "late two"),
    late=2,
)


def test_it_is_read_as_it_was_written_and_by_its_owner_alone(tmp_path: Path) -> None:
    """1. Nothing is there. 2. It is written, in a folder that was not there either. 3. Another one
    takes its place, even where a writer was killed half-way. 4. Nothing is left beside.
    """
    path = tmp_path / "new" / "address.json"
    assert read(path) is None
    post(path, POSTING)
    assert read(path) == POSTING
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (path.parent / ".address.json.part").write_text("half")
    post(path, POSTING.gone("over", "all rounds are done", 0))
    found = read(path)
    assert found is not None
    assert (found.state, found.reason, found.exit_code) == ("over", "all rounds are done", 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_who_is_gone_leaves_no_key() -> None:
    gone = POSTING.gone("left", "asked to end by SIGTERM")
    assert gone.start == START
    assert not gone.secrets
    assert gone.public is None
    assert not gone.address


def test_each_worker_of_the_job_has_a_key_of_its_own() -> None:
    """Those of other jobs, of which there may be any number, share the keys at the end."""
    assert [POSTING.secret_for(n, late=False) for n in (0, 1)] == ["one", "two"]
    assert [POSTING.secret_for(n, late=True) for n in (4, 7)] == ["late one", "late two"]
    assert POSTING.model_copy(update={"public": None}).secret_for(0, late=True) is None
    assert "two" not in repr(POSTING)


def test_what_is_wrong_with_a_file_is_one_sentence(tmp_path: Path) -> None:
    """1. It is something else. 2. It is a directory. 3. It cannot be written."""
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(UsageError, match=r"other\.json is no address file of this version"):
        read(other)
    with pytest.raises(UsageError, match=r"cannot read the master's address from .*directory"):
        read(tmp_path)
    with pytest.raises(
        UsageError, match=r"cannot write .*file system that all nodes share with --address-file"
    ):
        post(other / "address.json", POSTING)
