"""Do stragglers cost anything beyond what the code must wait for?

    python benchmarks/stragglers.py STORE [--workers 30] [--mean-s 0.5] [--rounds 100] [SCHEME ...]

For each scheme: the wall clock of the whole run divided by its rounds, against the ideal computed
from the very delays that were drawn, i.e. the moment when the scheme's stop rule is first content
if computing, sending and decoding took no time at all.
"""

from __future__ import annotations

import argparse

import numpy as np
from plain import PLAIN

from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_local.train import train
from erasurehead_simulator.virtual.ideal import ideal_round_s

SCHEMES = ("uncoded", "egc:c=3", "agc:c=3,r=11")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("schemes", nargs="*", default=list(SCHEMES))
    parser.add_argument("--workers", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--mean-s", type=float, default=0.5)
    parser.add_argument("--step", default="0.1")
    given = parser.parse_args()
    walls = {}
    print(f"{'scheme':24} {'wall/round':>11} {'ideal':>9} {'ratio':>7}")
    for scheme in given.schemes:
        settings = load(
            RunSettings,
            {
                **PLAIN,
                "store": given.store,
                "scheme": scheme,
                "workers": given.workers,
                "rounds": given.rounds,
                "step": given.step,
                "delay": f"exponential:mean_s={given.mean_s}",
            },
            environment={},
        )
        delays = settings.delays()
        ideal = ideal_round_s(settings.fitted(), delays, range(1, given.rounds + 1))
        summary = train(settings, [])
        walls[scheme] = summary.wall_s / summary.rounds
        ratio = walls[scheme] / float(np.mean(ideal))
        print(
            f"{scheme:24} {walls[scheme]:9.4f} s {np.mean(ideal):7.4f} s {ratio:7.3f}", flush=True
        )
    last = given.schemes[-1]
    for scheme in given.schemes[:-1]:
        print(f"{last} is {walls[scheme] / walls[last]:.2f} x faster a round than {scheme}")


if __name__ == "__main__":
    main()
