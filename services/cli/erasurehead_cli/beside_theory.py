"""What was simulated, and what the theory expects, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE_HEAD
from rich.table import Table

from erasurehead_cli.numbers import seconds
from erasurehead_simulator.expectation import Expectation

NO_FORM = "-"


def table(
    title: str,
    duration_s: npt.ArrayLike,
    n_arrived: npt.ArrayLike,
    erased_share: npt.ArrayLike,
    decode_error: npt.ArrayLike,
    expected: Expectation,
) -> Table:
    """Return means with their standard errors beside expected values.

    Parameters
    ----------
    duration_s, n_arrived, erased_share, decode_error: one number a round.
    """
    held = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    held.add_column("mean over rounds")
    held.add_column("simulated", justify="right")
    held.add_column("expected", justify="right")
    times = np.asarray(duration_s, dtype=np.float64)
    round_s = NO_FORM if expected.round_s is None else seconds(expected.round_s)
    held.add_row(
        "time of a round",
        f"{seconds(float(times.mean()))} ± {seconds(_standard_error(times))}",
        f"at most {round_s}" if expected.bound else round_s,
    )
    held.add_row("", f"{seconds(float(np.quantile(times, 0.95)))} in 1 of 20", "")
    for name, values, value in (
        ("arrivals", n_arrived, None),
        ("erased share of tasks", erased_share, expected.erased_share),
        ("decode error", decode_error, expected.decode_error),
    ):
        numbers = np.asarray(values, dtype=np.float64)
        held.add_row(
            name,
            f"{numbers.mean():.4g} ± {_standard_error(numbers):.2g}",
            NO_FORM if value is None else f"{value:.4g}",
        )
    return held


def reasons(counted: dict[str, int]) -> Sequence[str]:
    """Return why rounds closed, the most frequent first."""
    total = sum(counted.values())
    ordered = sorted(counted.items(), key=lambda item: -item[1])
    shown = [f"{count / total:.1%} {reason}" for reason, count in ordered[:5]]
    return shown + ([f"{len(ordered) - 5} other reasons"] if len(ordered) > 5 else [])


def _standard_error(values: npt.NDArray[np.float64]) -> float:
    return float(np.std(values)) / math.sqrt(len(values))
