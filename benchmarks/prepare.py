"""Time and memory of `erasurehead prepare csv`, also in turns with another checkout.

    python benchmarks/prepare.py [--rows N] [--kind csv|parquet] [--against CHECKOUT] [--turns N]

The table has 6 columns of whole numbers, 4 of decimals and a label. Time is that of the whole
command; memory is the most that the process ever had resident.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from against import HERE

from erasurehead_cli.reproduce.beyond.earlier import packages

ROWS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Cost:
    """Of one command: seconds, and bytes resident at most."""

    wall_s: float
    cpu_s: float
    peak_bytes: float


def piece(rng: np.random.Generator, n_rows: int) -> pa.Table:
    """Return some rows of the table."""
    whole = {f"i{k}": rng.integers(0, 10 ** (k + 1), n_rows) for k in range(6)}
    decimals = {f"f{k}": rng.normal(size=n_rows) for k in range(4)}
    label = (decimals["f0"] + rng.normal(size=n_rows) > 0).astype(np.int64)
    return pa.table({**whole, **decimals, "y": label})


def write_table(path: Path, n_rows: int) -> None:
    """Write the table, in pieces."""
    rng = np.random.default_rng(0)
    schema = piece(rng, 1).schema
    kind = pyarrow.parquet.ParquetWriter if path.suffix == ".parquet" else pyarrow.csv.CSVWriter
    with kind(path, schema) as writer:
        for lo in range(0, n_rows, ROWS_AT_ONCE):
            writer.write_table(piece(rng, min(ROWS_AT_ONCE, n_rows - lo)))


def measure(checkout: Path, table: Path) -> Cost:
    """Prepare the table by a checkout's code.

    Raises
    ------
    RuntimeError: it failed.
    """
    with TemporaryDirectory(dir=table.parent) as folder:
        command = [sys.executable, "-m", "erasurehead_cli", "prepare", "csv", "--from", str(table)]
        command += ["-o", "target=y", "--out", f"{folder}/store"]
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": packages(checkout)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"preparing by {checkout} ended with {process.returncode}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Cost(time.monotonic() - began, cpu_s, usage.ru_maxrss * 1024.0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--kind", choices=["csv", "parquet"], default="csv")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--turns", type=int, default=5)
    wanted = parser.parse_args()
    checkouts = [HERE] if wanted.against is None else [HERE, wanted.against]
    with TemporaryDirectory() as folder:
        table = Path(folder) / f"table.{wanted.kind}"
        write_table(table, wanted.rows)
        print(f"{wanted.rows:,} rows, {table.stat().st_size / 1e6:.0f} MB of {wanted.kind}")
        costs: dict[Path, list[Cost]] = {checkout: [] for checkout in checkouts}
        for turn in range(wanted.turns):
            for checkout in checkouts if turn % 2 == 0 else reversed(checkouts):
                costs[checkout].append(measure(checkout, table))
    medians = {}
    for checkout, found in costs.items():
        wall, cpu, peak = (
            statistics.median(values)
            for values in zip(*((c.wall_s, c.cpu_s, c.peak_bytes) for c in found), strict=True)
        )
        medians[checkout] = (wall, cpu, peak)
        print(
            f"{checkout.name:12}{wall:7.2f} s{cpu:7.2f} s of processor{peak / 1e6:7.0f} MB at most,"
            f" {wanted.rows / wall:,.0f} rows a second (median of {len(found)})"
        )
    if wanted.against is not None:
        ours, theirs = medians[HERE], medians[wanted.against]
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        print(f"ratios: time {ratios[0]:.2f}, processor {ratios[1]:.2f}, memory {ratios[2]:.2f}")


if __name__ == "__main__":
    main()
