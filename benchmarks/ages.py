"""How old is what a cache remembers, by scheme and by arrivals a round?

    python benchmarks/ages.py [--rounds 1000] [--out docs/codes-measured.md]

Thirty workers with equal exponential delays, played by the simulator's rounds without gradients.
The age of a unit (a group, or a slot where there are no groups) is the number of rounds since it
was renewed, 0 in a round in which it arrives. Rounds before every unit was heard once are left out.
The benchmark replaces the text between the two comments of the page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from erasurehead.optimizing.anchored_lbfgs import AGE
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_simulator.virtual.timeline import play_rounds

BEGIN, END = "<!-- ages-table:begin -->", "<!-- ages-table:end -->"
PAGE = Path(__file__).parents[1] / "docs" / "codes-measured.md"
WORKERS, SEED = 30, 0
CODES = ("uncoded", "frc:c=2", "frc:c=3", "frc:c=5")
ARRIVALS = (1, 2, 3, 5, 10)


def ages(text: str, n_rounds: int) -> np.ndarray:
    """Return the age of every unit in every round, shape (rounds, units)."""
    given = {
        "store": "none",
        "workers": WORKERS,
        "scheme": text,
        "rounds": n_rounds,
        "delay": "exponential:mean_s=0.5",
        "seed": SEED,
    }
    settings = load(RunSettings, given, environment={})
    coding = settings.fitted()
    unit_of_arrival = coding.code.unit_of_arrival
    last = np.full(coding.code.n_units, -1)
    found = []
    for played in play_rounds(coding, settings.delays(), n_rounds, SEED):
        last[unit_of_arrival[[arrival.slot for arrival in played.arrivals]]] = played.round
        if last.min() > 0:
            found.append(played.round - last)
    return np.array(found)


def row(code: str, r: int, n_rounds: int) -> str:
    """Return the row of a code whose rounds close at the r-th arrival."""
    found = ages(f"{code} / first-copy:scale=coverage / fraction:r={r} / sag", n_rounds)
    units = found.shape[1]
    renewed = float((found == 0).sum(axis=1).mean())
    oldest = found.max(axis=1)
    bound = max(1, round(AGE * units / renewed))
    over = float((found >= bound).any(axis=1).mean())
    return (
        f"| `{code}` | {r} | {units} | {renewed:.1f} | {found.mean():.1f} | {oldest.mean():.1f}"
        f" | {oldest.max()} | {bound} | {over:.0%} |"
    )


def table(n_rounds: int) -> str:
    """Return the table."""
    lines = [
        "| code | r | units | renewed a round | mean age | oldest, mean | oldest, most"
        " | bound of `anchored-lbfgs` | rounds in which a unit would be that old |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for code in CODES:
        for r in ARRIVALS:
            lines.append(row(code, r, n_rounds))
            print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Play the rounds, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=PAGE)
    given = parser.parse_args()
    head, rest = given.out.read_text(encoding="utf-8").split(BEGIN)
    tail = rest.split(END)[1]
    made = f"{head}{BEGIN}\n\n{table(given.rounds)}\n\n{END}{tail}"
    given.out.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
