"""How many useful rounds a second are kept while workers are killed, frozen and cut off?

    python benchmarks/goodput.py [--minutes 30] [--faults benchmarks/goodput.faults]
        [--turns 1] [--together] [SCHEME ...]

For each scheme, 32 workers on this machine run for so many minutes without faults and as many under
the schedule, in turns (`--turns` times), or all at the same time (`--together`): then what else the
machine does weighs on all of them alike. Printed: useful rounds a second of both, and what share is
kept. A round is useful if its step is what the scheme promises: with a cache every round that
closed, elsewhere those that had all tasks. Workers that are killed are started again at once.
With fewer minutes, only the faults that fall into them happen.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from erasurehead.datasets.prepare import prepare
from erasurehead.runs import Run
from erasurehead_local.faults import in_words, read_faults

WORKERS = 32
SCHEMES = ("agc:c=4,r=12,cache=sag", "uncoded")


@dataclass(frozen=True)
class Goodput:
    """Useful rounds, all rounds, and the seconds that they took."""

    useful: int
    rounds: int
    seconds: float

    @property
    def rate(self) -> float:
        """Useful rounds a second."""
        return self.useful / self.seconds

    @classmethod
    def of(cls, run: Run) -> Goodput:
        """Count the rounds of a run."""
        remembers = run.settings.fitted().remembers
        useful = rounds = 0
        closed_s = 0.0
        for record in run:
            rounds += 1
            useful += remembers or not record.erased_tasks
            closed_s = record.closed_s
        return cls(useful, rounds, closed_s)

    def __add__(self, other: Goodput) -> Goodput:
        return Goodput(
            self.useful + other.useful, self.rounds + other.rounds, self.seconds + other.seconds
        )


def measure(store: Path, out: Path, scheme: str, minutes: float, faults: Path | None) -> Goodput:
    """Run once, for so many minutes."""
    command = [sys.executable, "-m", "erasurehead_cli", "train" if faults is None else "chaos"]
    command += [str(store), "--scheme", scheme, "--workers", str(WORKERS), "--out", str(out)]
    command += ["--delay", "exponential:mean_s=0.1", "--rounds", "100000000", "--no-figures", "-q"]
    command += ["--until", f"time:{60 * minutes}s", "--evaluate-every-rounds", "1000000"]
    if faults is not None:
        command += ["--faults", str(faults)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if faults is not None:
        print(*re.findall(r"^injected .*$", said, re.MULTILINE), flush=True)
    return Goodput.of(Run.open(out))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("schemes", nargs="*", default=list(SCHEMES))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--together", action="store_true")
    parser.add_argument(
        "--faults", type=Path, default=Path(__file__).with_name("goodput.faults"), metavar="FILE"
    )
    given = parser.parse_args()
    print(f"{given.faults.name}: {in_words(read_faults(given.faults, WORKERS))}")
    with tempfile.TemporaryDirectory() as made:
        options = {"rows": "6400", "columns": "100", "nnz": "10", "seed": "1"}
        store = prepare("synthetic", source=None, out=Path(made) / "store", options=options).path

        def run(number: int, scheme: str, faults: Path | None) -> Goodput:
            return measure(store, Path(made) / str(number), scheme, given.minutes, faults)

        kinds = [(scheme, faults) for scheme in given.schemes for faults in (None, given.faults)]
        runs = kinds * given.turns
        with ThreadPoolExecutor(len(runs) if given.together else 1) as runners:
            found_by_run = list(runners.map(run, range(len(runs)), *zip(*runs, strict=True)))
        sums = [sum(found_by_run[i :: len(kinds)], Goodput(0, 0, 0.0)) for i in range(len(kinds))]
        for (scheme, faults), found in zip(kinds, sums, strict=True):
            print(
                f"{scheme:24} {'under' if faults else 'without'} faults"
                f" {found.rate:8.3f} useful rounds a second"
                f" ({found.useful} of {found.rounds} in {found.seconds:.0f} s)"
            )
        for scheme, calm, faulty in zip(given.schemes, sums[::2], sums[1::2], strict=True):
            print(f"{scheme:24} kept            {faulty.rate / calm.rate:8.1%}", flush=True)


if __name__ == "__main__":
    main()
