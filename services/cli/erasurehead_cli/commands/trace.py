"""`erasurehead trace`: a run's stragglers as a file that can be replayed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, BinaryIO

import typer


def trace(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Directory of a finished run.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="File to write \\[default: trace.npz in RUN]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Make a trace of a run, to replay its stragglers with --delay trace:file=FILE."""
    import numpy as np
    from rich.console import Console

    from erasurehead.errors import UsageError
    from erasurehead.process.outputs import write_output
    from erasurehead.runs import Run
    from erasurehead_cli.console import recorded_run
    from erasurehead_cli.results.number_format import seconds
    from erasurehead_simulator.traces.recording import DESCRIPTIONS, record_trace

    recorded = record_trace(Run.open(run))
    path = out or run / "trace.npz"
    if path.suffix != ".npz":
        raise UsageError(f"a trace is an .npz file; name one with --out instead of {path}")
    arrays = recorded.arrays()
    write_output(
        path,
        "a trace",
        lambda file: _holds(file, arrays),
        lambda file: np.savez(file, **arrays),
    )
    rounds, workers = recorded.source.shape
    counts = {
        source: f"{recorded.count(source) / recorded.source.size:>5.1%} {text}"
        for source, text in DESCRIPTIONS.items()
        if recorded.count(source)
    }
    recorded_run.print_lines(
        {
            "trace": [str(path)],
            "size": [f"{rounds} rounds of {workers} workers"],
            "times": list(counts.values()),
            "a pass": [f"{seconds(recorded.pass_s)} to compute all rows on one worker (median)"],
            "replay": [
                f"--delay trace:file={path}",
                f"--delay trace:file={path},compute=yes (simulated, with the compute times)",
            ],
        },
        Console(),
    )


def _holds(file: BinaryIO, arrays: Mapping[str, object]) -> bool:
    """Tell whether a file has the arrays of a trace, by their names."""
    try:
        with zipfile.ZipFile(file) as archive:
            return {f"{name}.npy" for name in arrays} <= set(archive.namelist())
    except zipfile.BadZipFile:
        return False
