"""How fast are rounds simulated without gradients?

    python benchmarks/simulator.py [--workers 10000] [--rounds 1000] [--scheme agc:c=4,delta=0.3667]

Prints wall clock and processor time; the aim is 10,000 workers x 1,000 rounds in under 60 s of one
core. Run it alone: on a busy machine the wall clock says more about the others.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from plain import PLAIN

from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_simulator.laws.expectation import expect
from erasurehead_simulator.laws.quantities import Quantity
from erasurehead_simulator.virtual.timeline import timeline


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1_000)
    # The paper's share of arrivals, 11 of 30. Its c = 3 does not divide 10,000, and theory wants
    # equal groups.
    parser.add_argument("--scheme", default="agc:c=4,delta=0.3667")
    parser.add_argument("--delay", default="exponential:mean_s=0.5")
    given = parser.parse_args()
    settings = load(
        RunSettings,
        {
            **PLAIN,
            "store": "none",
            "workers": given.workers,
            "rounds": given.rounds,
            "scheme": given.scheme,
            "delay": given.delay,
        },
        environment={},
    )
    wall, cpu = time.perf_counter(), time.process_time()
    delays = settings.delays()
    coding = settings.fitted()
    played = timeline(coding, delays, settings.descent.rounds, settings.run.seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    arrivals = float(np.sum(played.n_arrived))
    print(
        f"{given.scheme}: {given.workers} workers x {given.rounds} rounds, {arrivals:.3g} arrivals"
    )
    print(f"wall clock {wall:.1f} s, processor {cpu:.1f} s, {cpu / arrivals * 1e6:.2f} us/arrival")
    expected = expect(coding, delays, 0.0)
    for quantity, simulated in (
        (Quantity.ROUND_S, played.duration_s),
        (Quantity.ERASED_SHARE, played.erased_share),
    ):
        claims = [f"{c.relation} {c.value:.5f} ({c.source})" for c in expected.of(quantity)]
        print(f"{quantity}: {float(np.mean(simulated)):.5f}; theory: {', '.join(claims)}")


if __name__ == "__main__":
    main()
