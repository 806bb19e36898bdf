"""Numbers as a person reads them in a table or on an axis."""

from __future__ import annotations

import math


def seconds(value: float) -> str:
    """Return seconds or milliseconds with three digits."""
    if not math.isfinite(value):
        return "-"
    if value >= 1000:
        return f"{value:,.0f} s"
    if value >= 10:
        return f"{value:.1f} s"
    if value >= 0.1 or value == 0:
        return f"{_three(value)} s"
    return f"{_three(value * 1e3)} ms"


def fixed(value: float | None) -> str:
    """Return a metric's value with four decimals; a dash for None."""
    return "-" if value is None else f"{value:.4f}"


def times(factor: float | None) -> str:
    """Return how many times as fast; a dash for None."""
    return "-" if factor is None else f"{factor:.2f}x"


def percent(share: float) -> str:
    """Return a share in percent, with a decimal where it is small."""
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def size(count: float) -> str:
    """Return bytes in the unit that suits them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def _three(value: float) -> str:
    """Return three significant digits: 1.50, not 1.5."""
    return f"{value:#.3g}".rstrip(".")
