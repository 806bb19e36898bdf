"""`erasurehead trace`: a run's stragglers as a file that can be replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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

    from erasurehead.errors import UsageError, reason_of
    from erasurehead.runs import Run
    from erasurehead_cli.console import recorded_run
    from erasurehead_cli.results.number_format import seconds
    from erasurehead_simulator.traces.recording import DESCRIPTIONS, record_trace

    recorded = record_trace(Run.open(run))
    path = out or run / "trace.npz"
    if path.suffix != ".npz":
        raise UsageError(f"a trace is an .npz file; name one with --out instead of {path}")
    try:
        np.savez(path, **recorded.arrays())
    except OSError as error:
        raise UsageError(
            f"cannot write the trace {path}: {reason_of(error)}; name another file with --out"
        ) from None
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
