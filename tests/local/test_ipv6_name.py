"""A master whose name has an address of IPv6 only, from its workers' command line to the model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from erasurehead.datasets.prepare import prepare
from erasurehead.runs import Run
from tests.support.ipv6 import needs_ipv6, where_a_name_has_ipv6_only

NAME = "only-ipv6.example"
LIMIT_S = 60

MASTER_AND_WORKER = """
import subprocess, sys
erasurehead = [sys.executable, "-m", "erasurehead_cli"]
store, out, name = sys.argv[1:]
work = ["worker", "--connect", f"tcp://{name}:5577", "--retry-limit-s", "60"]
serve = ["master", store, "--bind", "tcp://[::]:5577", "--insecure", "--out", out, "--quiet"]
serve += ["--workers", "1", "--scheme", "uncoded", "--rounds", "3", "--no-figures"]
worker = subprocess.Popen([*erasurehead, *work])
codes = subprocess.call([*erasurehead, *serve]), worker.wait(60)
sys.exit(max(codes))
"""
"""Both in one network, in which nothing has an address of IPv4 but loopback."""


@needs_ipv6
def test_a_worker_finds_a_master_whose_name_has_ipv6_only(tmp_path: Path) -> None:
    inside = where_a_name_has_ipv6_only(NAME, tmp_path)
    options = {"rows": "40", "columns": "5", "nnz": "2"}
    store = prepare("synthetic", source=None, out=tmp_path / "store", options=options).path
    out = tmp_path / "run"
    command = [*inside, sys.executable, "-c", MASTER_AND_WORKER, str(store), str(out), NAME]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    run = Run.open(out)
    assert [len(record.arrivals) for record in run.records] == [1, 1, 1]
