"""What does the optimal code for unequal stragglers save: time, or storage?

    python benchmarks/osgc.py [--rounds 300] [--seeds 3]

The third model of `benchmarks/codes.py`: thirty workers with delays of rates between 0.1 and 2, and
rounds that close at a deadline, played without gradients. Codes that use straggler probabilities
are told the true ones. Rounds last alike, so what counts is the decode error and the load.
"""

from __future__ import annotations

import argparse

import numpy as np
from codes import WORKERS, weathers

from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_simulator.virtual.timeline import play_rounds

SCHEMES = (
    ("frc:c=2 / first-copy:scale=coverage", 2),
    ("frc:c=3 / first-copy:scale=coverage", 3),
    ("frc:c=3,groups=balanced,p=LATE / first-copy:scale=group,p=LATE", 3),
    ("osgc:p=LATE / fixed:p=LATE", 2),
    ("osgc:p=LATE / fixed:p=LATE,shrink=mse", 2),
)


def main() -> None:
    """Play the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    weather = weathers()[-1]
    print("| scheme | load | s a round | decode error |\n| --- | ---: | ---: | ---: |")
    for scheme, tasks in SCHEMES:
        late = weather.late(np.full(WORKERS, tasks / WORKERS))
        text = scheme.replace("LATE", "/".join(f"{p:.4f}" for p in late)) + f" / {weather.stop}"
        errors, round_s = [], []
        for seed in range(given.seeds):
            tree = {
                "store": "none",
                "workers": WORKERS,
                "scheme": text,
                "rounds": given.rounds,
                "delay": weather.delay,
                "seed": seed,
            }
            settings = load(RunSettings, tree, environment={})
            coding = settings.fitted()
            delays = settings.delays()
            played = list(play_rounds(coding, delays, given.rounds, seed, weather.pass_s))
            errors.append(float(np.mean([each.decoding.decode_error for each in played])))
            round_s.append(played[-1].closed_s / given.rounds)
        shown = scheme.replace("=LATE", "")
        print(
            f"| `{shown}` | {coding.code.loads.mean():.1f} | {np.median(round_s):.2f}"
            f" | {np.median(errors):.2f} ({min(errors):.2f} to {max(errors):.2f}) |"
        )


if __name__ == "__main__":
    main()
