"""The measurements of docs/findings.md: what coding is worth, with and without a cache.

    python benchmarks/findings.py growth [--rounds 100] [--trace FILE ...]
    python benchmarks/findings.py measured STORE --step 0.1 [--rounds 40]
    python benchmarks/findings.py few STORE --step 0.1 --step 0.17 [--rounds 100]
    python benchmarks/findings.py dead STORE --step 0.17 --rounds 1000
    python benchmarks/findings.py early STORE --step 0.1

`growth` needs no data: how long rounds last for 10 to 10,000 workers by the delays alone, drawn
from models or from traces that `erasurehead trace` made of real runs. `measured` trains with real
processes and prints the wall clock of a round for 10, 20 and 30 workers. The others train under
virtual time with real arithmetic on a prepared store: with few arrivals a round, with dead workers,
and in the first rounds. Tables are printed as Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from plain import PLAIN

from erasurehead.datasets.store import Store
from erasurehead.errors import EXIT_OK
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead_cli.reproduce.objective import training_objective
from erasurehead_local.train import train
from erasurehead_simulator.virtual.ideal import ideal_round_s
from erasurehead_simulator.virtual.virtual_run import simulate

EXPONENTIAL = "exponential:mean_s=0.5"
PARETO = "pareto:shape=1.5,scale_s=0.1667"
DEAD = "persistent:count={count},slow_s=1000000,jitter_s=0.5"
WORKERS = (10, 30, 100, 300, 1000, 3000, 10_000)
"""All but 10 are divisible by 3; for 10 the code makes unequal groups."""
MEASURED_WORKERS = (10, 20, 30)

CACHED = ("uncoded:r={r},cache=sag", "agc:c=3,r={r},cache=sag")
DEAD_CACHED = (*CACHED, "agc:c=5,r={r},cache=sag")


def growth(rounds: int, traces: Sequence[Path]) -> None:
    """Print speed-ups of a round over uncoded for growing clusters."""
    if not traces:
        for delay in (EXPONENTIAL, PARETO):
            _grow(delay, rounds, dict.fromkeys(WORKERS, delay).__getitem__)
    with TemporaryDirectory() as directory:
        wide = Path(directory) / "wide.npz"
        for trace in traces:
            _grow(trace.name, rounds, partial(_widened, trace, wide))


def _grow(title: str, rounds: int, delay_of: Callable[[int], str]) -> None:
    print(f"\n{title}, {rounds} rounds\n")
    _row("workers", "uncoded", "egc c=3", "agc c=3, r=0.37k", "agc c=3, r=0.1k")
    _row("---:", "---:", "---:", "---:", "---:")
    for k in WORKERS:
        delay = delay_of(k)
        means = [_round_s(scheme, k, delay, rounds) for scheme in _growing(k)]
        told = [f"{means[0] / mean:.1f}x" for mean in means[1:]]
        _row(str(k), f"{means[0]:.3g} s", *told)


def _growing(k: int) -> tuple[str, ...]:
    """Return what is compared with k workers, uncoded first."""
    return ("uncoded", "egc:c=3", "agc:c=3,delta=0.37", f"agc:c=3,r={max(1, round(0.1 * k))}")


def measured(store: str, step: str, rounds: int) -> None:
    """Print what rounds of real processes last, and in brackets by the drawn delays alone."""
    print(f"\n{EXPONENTIAL}, {rounds} rounds, wall clock\n")
    _row("workers", "uncoded", "egc c=3", "agc c=3, r=0.37k", "agc c=3, r=0.1k")
    _row("---:", "---:", "---:", "---:", "---:")
    for k in MEASURED_WORKERS:
        ideal = [_round_s(scheme, k, EXPONENTIAL, rounds) for scheme in _growing(k)]
        wall = [_wall_s(store, step, scheme, rounds, k) for scheme in _growing(k)]
        told = [
            f"{wall[0] / w:.1f}x \\[{ideal[0] / i:.1f}x]"
            for w, i in zip(wall[1:], ideal[1:], strict=True)
        ]
        _row(str(k), f"{wall[0]:.3g} s \\[{ideal[0]:.3g} s]", *told)


def _widened(trace: Path, wide: Path, k: int) -> str:
    """Write a trace of k slots and return its delay model.

    Each slot is a recorded one, drawn with replacement, from a round of its own on: slots that
    were slow stay slow, and no two are slow at the same moments because they are the same.
    """
    with np.load(trace) as arrays:
        rounds, recorded = arrays["delays_s"].shape
        rng = np.random.default_rng(k)
        slots = rng.integers(recorded, size=k)
        rows = (np.arange(rounds)[:, np.newaxis] + rng.integers(rounds, size=k)) % rounds
        times = {name: arrays[name][rows, slots] for name in ("delays_s", "scaled_s", "compute_s")}
        shares = {name: arrays[name][slots] for name in ("load_share", "compute_share")}
        np.savez(wide, **times, **shares)
    return f"trace:file={wide},compute=yes"


def few(store: str, steps: Sequence[str], rounds: int) -> None:
    """Print how few arrivals a round cached decoding can do with, by step size."""
    print(f"\nobjective after {rounds} rounds against exact, by step size\n")
    exact = {step: _train(store, step, "uncoded", rounds) for step in steps}
    _row("r of 30", "scheme", *(f"step {step}" for step in steps))
    _row("---:", "---", *("---:" for _ in steps))
    for r in (1, 2, 3, 5, 11):
        for template in (*CACHED, "agc:c=3,r={r}"):
            scheme = template.format(r=r)
            ends = (_train(store, step, scheme, rounds) for step in steps)
            told = [_difference(end, exact[step]) for end, step in zip(ends, steps, strict=True)]
            _row(str(r), f"`{scheme}`", *told)


def dead(store: str, step: str, rounds: int) -> None:
    """Print what silent workers cost once everything else has converged."""
    print(f"\nobjective after {rounds} rounds against exact with all workers\n")
    exact = _train(store, step, "egc:c=3", rounds)
    _row("dead of 30", "scheme", "objective", "test metric")
    _row("---:", "---", "---:", "---:")
    _row("0", "`egc:c=3`", "-", f"{exact.curve[rounds]:.4f}")
    for count in (1, 3, 6):
        for template in DEAD_CACHED:
            scheme = template.format(r=5)
            end = _train(store, step, scheme, rounds, DEAD.format(count=count))
            metric = f"{end.curve[rounds]:.4f}"
            _row(str(count), f"`{scheme}`", _difference(end, exact), metric)


def early(store: str, step: str) -> None:
    """Print how the first rounds go, when the cache is still empty."""
    print("\ntest metric after so many rounds\n")
    marks = (5, 10, 20, 40, 80)
    _row("scheme", *(f"round {mark}" for mark in marks))
    _row("---", *("---:" for _ in marks))
    for scheme in ("uncoded", *(t.format(r=5) for t in CACHED), *(t.format(r=3) for t in CACHED)):
        curve = _train(store, step, scheme, max(marks)).curve
        _row(f"`{scheme}`", *(f"{curve[mark]:.4f}" for mark in marks))


class End(Observer):
    """What a simulated run came to: `objective` is infinite if it diverged."""

    def __init__(self) -> None:
        self.curve: dict[int, float] = {}
        self.objective = np.inf

    def round_over(self, record: RoundRecord) -> None:
        """Keep the first metric."""
        if record.metrics:
            self.curve[record.round] = next(iter(record.metrics.values()))

    def model(self, theta: np.ndarray, start: RunStart, rounds: int) -> None:
        """Keep the model."""
        self.theta = np.array(theta)

    def finished(self, summary: RunSummary) -> None:
        """Note whether the run went to its end."""
        self.whole = summary.exit_code == EXIT_OK


def _settings(
    store: str, step: str, scheme: str, rounds: int, delay: str, workers: int
) -> RunSettings:
    return load(
        RunSettings,
        {
            **PLAIN,
            "store": store,
            "scheme": scheme,
            "workers": workers,
            "rounds": rounds,
            "step": step,
            "delay": delay,
            "evaluate_every_rounds": 5,
        },
        environment={},
    )


def _wall_s(store: str, step: str, scheme: str, rounds: int, workers: int) -> float:
    summary = train(_settings(store, step, scheme, rounds, EXPONENTIAL, workers), [])
    return summary.wall_s / summary.rounds


def _train(store: str, step: str, scheme: str, rounds: int, delay: str = EXPONENTIAL) -> End:
    end = End()
    settings = _settings(store, step, scheme, rounds, delay, 30)
    simulate(settings, [end])
    if end.whole:
        end.objective = training_objective(Store.open(Path(store)), end.theta)
    return end


def _difference(end: End, base: End) -> str:
    if not np.isfinite(end.objective):
        return "diverged"
    return f"{(end.objective - base.objective) / base.objective:+.2%}"


def _round_s(scheme: str, k: int, delay: str, rounds: int) -> float:
    coding = Coding.of(parse(scheme), k)
    delays = DELAYS.build(delay, k, 0)
    return float(np.mean(ideal_round_s(coding, delays, range(1, rounds + 1))))


def _row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("kind", choices=("growth", "measured", "few", "dead", "early"))
    parser.add_argument("store", nargs="?")
    parser.add_argument("--step", action="append", help="several for few")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--trace", type=Path, action="append", default=[], help="for growth")
    given = parser.parse_args(arguments)
    if given.kind == "growth":
        growth(given.rounds, given.trace)
    elif given.store is None or not given.step:
        parser.error(f"{given.kind} needs a store and --step")
    elif given.kind == "measured":
        measured(given.store, given.step[0], given.rounds)
    elif given.kind == "few":
        few(given.store, given.step, given.rounds)
    elif given.kind == "dead":
        dead(given.store, given.step[0], given.rounds)
    else:
        early(given.store, given.step[0])


if __name__ == "__main__":
    main()
