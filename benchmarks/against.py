"""The same run by this checkout and by another one, in turns, so that a ratio is of one day.

Both are started as a user starts them, by the command `erasurehead train`, and looked at from
outside: their records, their processes' memory and processor time. That needs nothing of the other
checkout's code but the command line.
"""

from __future__ import annotations

import compileall
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from erasurehead_cli.reproduce.beyond.earlier import packages

HERE = Path(__file__).parents[1]
LOOK_EVERY_S = 0.02
LIMIT_S = 600.0


@dataclass(frozen=True)
class Measured:
    """One run from outside.

    Attributes
    ----------
    start_s: from starting the process to the end of its first round.
    round_s: mean over the rounds after the warm-up.
    master_cpu_s: processor time of the master's process in these rounds.
    master_bytes: the most memory that the master ever had resident.
    worker_bytes: the most memory of its own that any worker was seen with.
    moved_bytes: sent and received in the last round.
    """

    start_s: float
    round_s: float
    master_cpu_s: float
    master_bytes: float
    worker_bytes: float
    moved_bytes: float


def measure(checkout: Path, arguments: Sequence[str], warm_up: int) -> Measured:
    """Run `erasurehead train` with these arguments by a checkout's code.

    Raises
    ------
    RuntimeError: the run failed, or took too long.
    """
    environment = {**os.environ, "PYTHONPATH": packages(checkout)}
    with TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "erasurehead_cli", "train", *arguments]
        command += ["--no-figures", "--quiet", "--out", str(out)]
        began = time.monotonic()
        with subprocess.Popen(command, env=environment, cwd=folder) as process:
            seen = _watch(process, out / "rounds.jsonl", began, warm_up)
        if process.returncode:
            raise RuntimeError(f"the run of {checkout} ended with {process.returncode}")
        lines = (out / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
        rounds = [json.loads(line) for line in lines][warm_up:]
        return Measured(
            start_s=seen["start_s"],
            round_s=(rounds[-1]["closed_s"] - rounds[0]["opened_s"]) / len(rounds),
            master_cpu_s=(seen["cpu_s"] - seen["warm_cpu_s"]) / max(seen["cpu_rounds"], 1),
            master_bytes=seen["master_bytes"],
            worker_bytes=seen["worker_bytes"],
            moved_bytes=rounds[-1]["bytes_out"] + rounds[-1]["bytes_in"],
        )


def _watch(
    process: subprocess.Popen[bytes], records: Path, began: float, warm_up: int
) -> dict[str, float]:
    """Look at the run's processes until it ends."""
    keys = ("start_s", "cpu_s", "warm_cpu_s", "cpu_rounds", "master_bytes", "worker_bytes")
    seen = dict.fromkeys(keys, 0.0)
    master = psutil.Process(process.pid)
    warm_rounds = 0
    while process.poll() is None:
        if time.monotonic() - began > LIMIT_S:
            process.kill()
            raise RuntimeError(f"the run had not ended after {LIMIT_S:g} s")
        time.sleep(LOOK_EVERY_S)
        if not records.exists():
            continue
        done = records.read_bytes().count(b"\n")
        try:
            times = master.cpu_times()
            memory = master.memory_info().rss
            workers = [_own_bytes(p.pid) for p in master.children(recursive=True)]
        except (psutil.Error, OSError):
            break  # it has just ended
        seen["start_s"] = seen["start_s"] or (time.monotonic() - began if done else 0.0)
        cpu_s = times.user + times.system
        if done <= warm_up:
            seen["warm_cpu_s"], warm_rounds = cpu_s, done
        seen["cpu_s"], seen["cpu_rounds"] = cpu_s, float(done - warm_rounds)
        seen["master_bytes"] = max(seen["master_bytes"], memory)
        seen["worker_bytes"] = max([seen["worker_bytes"], *workers])
    process.wait()
    return seen


def _own_bytes(pid: int) -> float:
    """Return the memory of a process that is its own: neither a mapped file nor shared."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024.0
    return 0.0


def write_bytecode(checkouts: Iterable[Path]) -> None:
    """Compile the modules of checkouts.

    One that was just made would otherwise be charged for it at each start, in time and in memory.
    """
    for checkout in checkouts:
        for root in packages(checkout).split(os.pathsep):
            compileall.compile_dir(root, quiet=1)


def compare(
    other: Path, arguments: Sequence[str], alternations: int, warm_up: int
) -> tuple[list[Measured], list[Measured]]:
    """Run both in turns, which begins changing each time; return what both took."""
    found: dict[Path, list[Measured]] = {HERE: [], other: []}
    write_bytecode(found)
    for turn in range(alternations):
        for checkout in (HERE, other) if turn % 2 == 0 else (other, HERE):
            found[checkout].append(measure(checkout, arguments, warm_up))
    return found[HERE], found[other]


QUANTITIES: Mapping[str, tuple[Callable[[Measured], float], float, str]] = {
    "round": (lambda m: m.round_s, 1e3, "ms"),
    "master's CPU a round": (lambda m: m.master_cpu_s, 1e3, "ms"),
    "start to first round": (lambda m: m.start_s, 1.0, "s"),
    "master's memory": (lambda m: m.master_bytes, 1e-6, "MB"),
    "largest worker": (lambda m: m.worker_bytes, 1e-6, "MB"),
    "bytes a round": (lambda m: m.moved_bytes, 1e-6, "MB"),
}


def print_ratios(ours: Sequence[Measured], others: Sequence[Measured]) -> None:
    """Print medians of both, and the ratio of ours to the other's."""
    print(f"{'median of ' + str(len(ours)):24}{'this':>12}{'other':>12}{'ratio':>8}")
    for name, (of, scale, unit) in QUANTITIES.items():
        mine, theirs = (statistics.median(map(of, runs)) for runs in (ours, others))
        ratio = mine / theirs if theirs else float("nan")
        print(f"{name:24}{mine * scale:9.3f} {unit:2}{theirs * scale:9.3f} {unit:2}{ratio:8.3f}")
