"""Open files, in processes whose limits are low: nothing starts that could not go on."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from erasurehead.process.descriptors import connections_with_room

COMMAND = [sys.executable, "-m", "erasurehead_cli", "train", "nowhere", "--workers"]


def limited(command: list[str], soft: int, hard: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=dict(os.environ),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )


@pytest.mark.parametrize(
    ("soft", "hard", "sentence"),
    [
        (
            64,
            64,
            "40 workers need about 80 open files, and the limit is 64; raise it (ulimit -n 80)",
        ),
        (64, 512, "nowhere"),
    ],
)
def test_a_run_has_its_files_or_does_not_start(
    tmp_path: Path, soft: int, hard: int, sentence: str
) -> None:
    """The soft limit is raised without a word; then it is the store that is not there."""
    done = limited([*COMMAND, "40", "--out", str(tmp_path / "run")], soft, hard)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert not (tmp_path / "run").exists()


def test_connections_leave_room_for_files() -> None:
    assert connections_with_room(3) == 3
    assert 1 <= connections_with_room(1 << 40) < 1 << 40
