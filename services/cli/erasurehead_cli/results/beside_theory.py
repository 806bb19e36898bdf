"""What was simulated, and what the theory expects, side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
from rich.box import SIMPLE_HEAD
from rich.table import Table

from erasurehead_cli.results.number_format import seconds
from erasurehead_simulator.laws.quantities import Expectation, Quantity

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
    held.add_column("mean over rounds", min_width=12)
    held.add_column("simulated", justify="right", no_wrap=True)
    held.add_column("theory", justify="right", no_wrap=True)
    held.add_column("by", overflow="fold", min_width=12)
    times = np.asarray(duration_s, dtype=np.float64)
    _add(
        held,
        Quantity.ROUND_S,
        [
            f"{seconds(float(times.mean()))} ± {seconds(_standard_error(times))}",
            f"{seconds(float(np.quantile(times, 0.95)))} in 1 of 20",
        ],
        expected,
        seconds,
    )
    for name, values in (
        ("arrivals", n_arrived),
        (Quantity.ERASED_SHARE, erased_share),
        (Quantity.DECODE_ERROR, decode_error),
    ):
        numbers = np.asarray(values, dtype=np.float64)
        simulated = f"{numbers.mean():.4g} ± {_standard_error(numbers):.2g}"
        _add(held, name, [simulated], expected, "{:.4g}".format)
    return held


def _add(
    held: Table,
    name: str,
    simulated: Sequence[str],
    expected: Expectation,
    show: Callable[[float], str],
) -> None:
    """Add the rows of one quantity: what was simulated beside all that is claimed of it."""
    claims = [
        (f"{claim.relation} {show(claim.value)}", claim.source)
        for claim in expected.claims
        if claim.quantity == name
    ]
    pairs = zip_longest(simulated, claims or [(NO_FORM, "")])
    for row, (mean, claim) in enumerate(pairs):
        held.add_row(name if row == 0 else "", mean or "", *(claim or ("", "")))


def reasons(counted: dict[str, int]) -> Sequence[str]:
    """Return why rounds closed, the most frequent first."""
    total = sum(counted.values())
    ordered = sorted(counted.items(), key=lambda item: -item[1])
    shown = [f"{count / total:.1%} {reason}" for reason, count in ordered[:5]]
    return shown + ([f"{len(ordered) - 5} other reasons"] if len(ordered) > 5 else [])


def _standard_error(values: npt.NDArray[np.float64]) -> float:
    return float(np.std(values)) / math.sqrt(len(values))
