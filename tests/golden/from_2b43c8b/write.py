"""Write the fixtures beside this file: ``python tests/golden/from_2b43c8b/write.py``.

This ran once, at commit 2b43c8b. The fixtures are worth something because that commit's program
wrote them, so nobody should run it again; it stands here to say how they came about.
"""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ERASUREHEAD = (sys.executable, "-m", "erasurehead_cli")
WORKERS = 6
ROUNDS = 24
KILLED_AFTER = 13
QUIET = ("--no-figures", "--quiet")

CITIES = ("Athens", "Bergen", "Cork", "Delft", "Elche")
KINDS = ("old", "new", "rare")


def write_tables() -> None:
    """Write a table to prepare, and a smaller one to predict, from integers alone."""

    def rows(first: int, count: int) -> list[str]:
        lines = ["city,kind,size,weight,sold"]
        for i in range(first, first + count):
            a = i * 2654435761 % 4294967296
            city, kind = CITIES[a % 5], KINDS[a // 7 % 3]
            size, weight = a // 11 % 97, a // 13 % 1009
            score = (a % 5) * 20 + size - 40 * (a // 7 % 3) + a // 17 % 31
            sold = "yes" if score > 60 else "no"
            lines.append(f"{city},{kind},{size},{weight / 8},{sold}")
        return lines

    (HERE / "sales.csv").write_text("\n".join(rows(1, 200)) + "\n")
    later = rows(900, 20)
    # A city that training never saw.
    later[3] = later[3].replace(later[3].split(",")[0], "Fano")
    (HERE / "later-sales.csv").write_text("\n".join(later) + "\n")


def write_trace() -> None:
    """Write delays that fix who comes: three workers at once and three after 20 s, in turn."""
    slow = np.array([[(slot + 2 * t) % 6 < 3 for slot in range(WORKERS)] for t in range(5)])
    np.savez(HERE / "delays.npz", delays_s=np.where(slow, 20.0, 0.0))


def erasurehead(*arguments: str) -> None:
    """Run the command here and insist that it ends well."""
    subprocess.run([*ERASUREHEAD, *arguments], cwd=HERE, check=True)


def train(out: str, *arguments: str) -> tuple[str, ...]:
    """Return the arguments of a run of `ROUNDS` rounds that is recorded in `out`."""
    return ("train", *arguments, "--workers", str(WORKERS), "--rounds", str(ROUNDS), "--out", out)


EXACT = (
    *("stores/squares", "--scheme", "egc:c=2", "--optimizer", "nesterov", "--l2", "0.05"),
    *("--delay", "exponential:mean_s=0.05", "--evaluate-every-rounds", "3", "--seed", "4"),
    *("--checkpoint-every-rounds", "4", "--checkpoint-every-s", "60", "--checkpoint-keep", "2"),
)
CACHED = (
    *("stores/sales", "--scheme", "agc:c=2,r=3,cache=saga", "--optimizer", "nesterov"),
    *("--delay", "trace:file=delays.npz", "--evaluate-every-rounds", "3", "--seed", "4"),
    *("--step", "0.5", "--l2", "0.02", "--wire-dtype", "<f8"),
    *("--checkpoint-every-rounds", "4", "--checkpoint-every-s", "60", "--checkpoint-keep", "2"),
)


def run_whole_and_killed(name: str, *arguments: str) -> None:
    """Let a run end, and keep its end; kill the same run in its middle, and keep its directory."""
    whole, killed = HERE / "runs" / "whole", HERE / "runs" / name
    erasurehead(*train("runs/whole", *arguments), *QUIET)
    with np.load(whole / "model.npz") as model:
        theta = model["theta"].tolist()
    rounds = [json.loads(line) for line in (whole / "rounds.jsonl").read_text().splitlines()]
    end = {
        "theta": theta,
        "rounds": len(rounds),
        "train_loss": [each["train_loss"] for each in rounds],
        "metrics": rounds[-1]["metrics"],
    }
    (HERE / f"{name}-end.json").write_text(json.dumps(end) + "\n")
    shutil.rmtree(whole)
    process = subprocess.Popen(
        [*ERASUREHEAD, *train(f"runs/{name}", *arguments), *QUIET], cwd=HERE, start_new_session=True
    )
    lines = killed / "rounds.jsonl"
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if lines.read_bytes().count(b"\n") >= KILLED_AFTER:
                break
        time.sleep(0.0005)
    process.kill()
    process.wait()
    if (killed / "summary.json").exists():
        raise SystemExit(f"{name} ended before it could be killed")


def run_master() -> None:
    """Run a master with two workers that were started by themselves."""
    address = "tcp://127.0.0.1:45577"
    master = subprocess.Popen(
        [
            *(*ERASUREHEAD, "master", "stores/sales", "--bind", address, "--workers", "2"),
            *("--scheme", "uncoded", "--rounds", "6", "--out", "runs/master", "--quiet"),
        ],
        cwd=HERE,
    )
    workers = [
        subprocess.Popen([*ERASUREHEAD, "worker", "--connect", address, "--name", name], cwd=HERE)
        for name in ("first", "second")
    ]
    for process in (master, *workers):
        if process.wait(60):
            raise SystemExit("the master or a worker failed")


def main() -> None:
    """Write everything."""
    for folder in ("stores", "runs"):
        shutil.rmtree(HERE / folder, ignore_errors=True)
    write_tables()
    write_trace()
    erasurehead(
        *("prepare", "csv", "--from", "sales.csv", "--out", "stores/sales"),
        *("--option", "target=sold"),
    )
    erasurehead(
        *("prepare", "synthetic", "--out", "stores/squares", "--option", "rows=200"),
        *("--option", "columns=40", "--option", "nnz=4", "--option", "task=least-squares"),
    )
    erasurehead(
        *train("runs/finished", "stores/sales", "--scheme", "agc:c=3,delta=0.5", *QUIET),
        *("--delay", "exponential:mean_s=0.02"),
    )
    erasurehead("predict", "runs/finished", "stores/sales", "--out", "predicted-store.csv")
    erasurehead("predict", "runs/finished", "later-sales.csv", "--out", "predicted-table.csv")
    run_master()
    run_whole_and_killed("interrupted", *EXACT)
    run_whole_and_killed("interrupted-cached", *CACHED)
    for page in (HERE / "runs").glob("*/report.html"):
        page.unlink()
    for log in (HERE / "runs").glob("*/events.log"):
        log.write_text(log.read_text().replace(f" on {platform.node()} ", " on somewhere "))


if __name__ == "__main__":
    main()
