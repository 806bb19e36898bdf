"""How much does each exact code amplify the rounding of messages, and with which stragglers?

    python benchmarks/amplification.py [--out docs/codes-measured.md]

For 30, 60 and 100 workers: the median and the 99th percentile over random sets of s stragglers, the
most over sets of neighbouring slots, and the most over all sets that were tried, with a search from
the worst of them. The benchmark replaces the text between the two comments of the page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from erasurehead.coding import CODES
from erasurehead.coding.amplification import measure_amplification
from erasurehead.errors import UsageError
from erasurehead.wire.vectors.f4 import F4

BEGIN, END = "<!-- amplification-table:begin -->", "<!-- amplification-table:end -->"
PAGE = Path(__file__).parents[1] / "docs" / "codes-measured.md"
SIZES = ((30, 5), (30, 9), (60, 5), (60, 9), (60, 10), (100, 5), (100, 9))
CODES_MEASURED = (
    "frc:c={c}",
    "cyclic-repetition:s={s}",
    "cyclic-mds:s={s}",
    "cyclic-mds:s={s},field=complex",
    "reed-solomon:s={s}",
)
DRAWS = 3
"""Codes of random coefficients: the median of so many draws stands in the table."""


def row(text: str, k: int, s: int) -> str:
    """Return the row of one code, or why there is none."""
    found = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        try:
            code = CODES.build(text, k, None, rng)
        except UsageError:
            # The sum of k and s must be odd, or double precision cannot keep the promise.
            return f"| {k} | {s} | `{text}` | - | - | - | - | - |"
        found.append(measure_amplification(code, s, rng))
    columns = ("median", "high", "neighbours", "worst")
    values = [float(np.median([getattr(each, name) for each in found])) for name in columns]
    cells = " | ".join(f"{value:,.3g}" if value < 1e3 else f"{value:.1e}" for value in values)
    return f"| {k} | {s} | `{text}` | {cells} | {values[-1] * F4.relative_error:.0e} |"


def table() -> str:
    """Return the table."""
    lines = [
        "| k | s | code | median | 99 % | neighbours | worst found | error with `f4`, at worst |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for k, s in SIZES:
        # The load that tolerates s: groups of s + 1 slots.
        for text in CODES_MEASURED:
            if k % (s + 1) and "{c}" in text:
                continue
            lines.append(row(text.format(s=s, c=s + 1), k, s))
            print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=PAGE)
    out = parser.parse_args().out
    head, rest = out.read_text(encoding="utf-8").split(BEGIN)
    tail = rest.split(END)[1]
    out.write_text(f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
