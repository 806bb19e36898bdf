"""Which scheme reaches a target soonest, for what storage: a search by simulation.

First every candidate is played without gradients, which is cheap, and ranked by time a round times
the rounds it should need more than exact gradient descent. Then the best of each load, and the best
of each kind, train on a sample of the rows under the virtual clock, once for each seed, until they
reach the target. Only those times are reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from erasurehead.coding.base import RepetitionCode
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.records import RoundRecord
from erasurehead.settings import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead.theory.convergence import LEAST_RENEWED, cached_rounds
from erasurehead_master.plan import build_scheme, make_plan
from erasurehead_simulator.candidates import Candidate, Kind, build_candidate, candidates
from erasurehead_simulator.expectation import expect
from erasurehead_simulator.findings import Findings, Trial
from erasurehead_simulator.running import run_virtually
from erasurehead_simulator.target import Target, rate_of
from erasurehead_simulator.timeline import Timeline, timeline

SCREENING_ROUNDS = 100
TEST_ROWS = 5_000
TARGET_SHARE = 0.01
"""Share of the first gap that a target is taken to leave, to judge how quickly the problem
converges from the rounds that exact gradients need."""

HOPELESS = 1.5
"""A candidate that takes this many times as long as its load's best under the first seed is not
tried under the others."""


@dataclass(frozen=True)
class Effort:
    """How far to search.

    Attributes
    ----------
    seeds: runs of each finalist, at least 1.
    finalists: schemes of each load that train.
    sample_rows: training rows they train on.
    """

    seeds: int = 5
    finalists: int = 3
    sample_rows: int = 20_000


def search(
    settings: RunSettings,
    target: Target,
    max_load: int,
    pass_s: float,
    effort: Effort,
    extra: Sequence[str] = (),
    progress: Callable[[str], None] = lambda text: None,
) -> Findings:
    """Screen all candidates, try the best, and return what they took.

    Parameters
    ----------
    settings: everything but the scheme; `rounds` is the most that a trial may take.
    extra: schemes to try in any case.
    progress: told of each step, in words.

    Raises
    ------
    UsageError: the cluster, the target or the effort is impossible, or nobody reaches the target.
    """
    _check(effort)
    store = sample(Store.open(settings.store), effort.sample_rows, TEST_ROWS)
    whole = Store.open(settings.store).manifest
    delays = DELAYS.build(settings.delay, settings.workers, settings.seed)
    every = candidates(settings.workers, settings.tasks, max_load, delays, pass_s, extra)
    if not every:
        raise UsageError(
            f"no scheme exists for {settings.workers} workers and"
            f" {settings.tasks or settings.workers} tasks within --max-load {max_load}; leave"
            " --tasks out or raise --max-load"
        )
    exact_rounds = _exact_rounds(settings, store, target)
    progress(
        f"exact gradient descent reaches {target} in {exact_rounds} rounds on"
        f" {store.manifest.rows:,} sampled rows"
    )
    screened = _screen_all(every, settings, pass_s, exact_rounds)
    finalists = _finalists(screened, effort.finalists, extra)
    progress(f"{len(every)} schemes screened, {len(finalists)} are tried")
    trials = _try(finalists, screened, settings, store, target, pass_s, effort.seeds, progress)
    if not any(math.isfinite(trial.median_s) for trial in trials):
        raise UsageError(
            f"no scheme reached {target} within {settings.rounds} rounds; raise --rounds or take"
            " an easier --target"
        )
    return Findings(
        target,
        effort.seeds,
        tuple(sorted(trials, key=lambda t: (t.candidate.load, t.median_s))),
        len(every),
        exact_rounds,
        store.manifest.rows,
        whole.rows,
        sum(e.file_bytes for name, e in whole.arrays.items() if not name.startswith("test_")),
    )


def sample(store: Store, n_rows: int, n_test_rows: int) -> Store:
    """Return the first rows of a store: a fair sample, as prepared rows are in random order."""
    train = store.train.rows(0, min(n_rows, store.manifest.rows))
    test = store.test.rows(0, min(n_test_rows, store.manifest.test_rows))
    manifest = replace(
        store.manifest,
        rows=len(train.labels),
        nnz=int(train.indptr[-1]),
        test_rows=len(test.labels),
        test_nnz=int(test.indptr[-1]),
    )
    return Store(store.path, manifest, train, test)


def _check(effort: Effort) -> None:
    for name, value in (
        ("--seeds", effort.seeds),
        ("--finalists", effort.finalists),
        ("--sample-rows", effort.sample_rows),
    ):
        if value < 1:
            raise UsageError(f"{name} {value} is too few; use at least 1")


def _to_target(
    settings: RunSettings, store: Store, target: Target, pass_s: float
) -> tuple[float, float]:
    """Train on the sample until the target is reached; return (virtual seconds, rounds)."""
    settings = settings.model_copy(update={"evaluate_every_rounds": 1})
    plan = make_plan(settings, store, None)
    found: list[RoundRecord] = []

    def enough(record: RoundRecord) -> bool:
        if target.reached(record.metrics[target.metric]):
            found.append(record)
        return bool(found)

    rate = rate_of(store, plan.objective, target, settings.l2)
    run_virtually(plan, store, [], pass_s, rate=rate, enough=enough)
    return (found[0].closed_s, found[0].round) if found else (math.inf, math.inf)


def _exact_rounds(settings: RunSettings, store: Store, target: Target) -> int:
    """Count the rounds of exact gradient descent: one worker, which is always waited for.

    Raises
    ------
    UsageError: even that does not reach the target.
    """
    alone = settings.model_copy(
        update={"workers": 1, "tasks": None, "scheme": "uncoded", "delay": "none"}
    )
    _, rounds = _to_target(alone, store, target, 1.0)
    if math.isinf(rounds):
        raise UsageError(
            f"exact gradient descent does not reach {target} in {settings.rounds} rounds on"
            f" {store.manifest.rows} sampled rows; take an easier --target, more --rounds, another"
            " --step or more --sample-rows"
        )
    return int(rounds)


@dataclass(frozen=True)
class _Screened:
    """Means over the rounds of the screening.

    `cost` is the seconds of a round times the rounds to target over those of exact gradients.
    """

    round_s: float
    decode_error: float
    erased_share: float
    cost: float


def _screen_all(
    every: Sequence[Candidate], settings: RunSettings, pass_s: float, exact_rounds: int
) -> dict[Candidate, _Screened]:
    """Play every candidate; a cache changes what is made of arrivals, not when they come."""
    played: dict[str, tuple[Timeline, int]] = {}
    screened = {}
    for candidate in every:
        own = candidate.kind is Kind.SVRG or "adaptive" in candidate.arrivals
        key = candidate.scheme if own else candidate.arrivals
        if key not in played:
            played[key] = _play(key, settings, pass_s)
        screened[candidate] = _judge(candidate, *played[key], exact_rounds)
    return screened


def _play(scheme: str, settings: RunSettings, pass_s: float) -> tuple[Timeline, int]:
    """Return rounds without gradients, and how many values a cache would remember."""
    delays = DELAYS.build(settings.delay, settings.workers, settings.seed)
    parts = build_candidate(scheme, settings.workers, settings.tasks, settings.seed)
    after = settings.membership.regroup_after_rounds
    code = parts.code
    n_units = code.n_blocks if isinstance(code, RepetitionCode) else code.n_workers
    return timeline(parts, delays, SCREENING_ROUNDS, settings.seed, pass_s, after), n_units


def _judge(candidate: Candidate, played: Timeline, n_units: int, exact_rounds: int) -> _Screened:
    """Rank a candidate.

    Gradient descent needs about (1 + V) times the rounds when gradients are unbiased, V their
    relative variance, and 1/m as many when all of them are m times too short; with a cache, as
    many as `cached_rounds` of what is renewed.
    """
    round_s, error = float(played.duration_s.mean()), float(played.decode_error.mean())
    if candidate.kind in (Kind.SAGA, Kind.SAG):
        renewed = float(played.renewed_share.mean())
        contraction = math.log(1.0 / TARGET_SHARE) / exact_rounds
        factor = float(cached_rounds(np.array([renewed]), contraction)[0])
        if renewed * n_units < min(LEAST_RENEWED, n_units):
            factor = math.inf
    else:
        weight = max(float(played.mean_weight.mean()), 1e-6)
        variance = max(0.0, error - (1.0 - weight) ** 2) / weight**2
        factor = (1.0 + variance) / min(weight, 1.0)
    return _Screened(round_s, error, float(played.erased_share.mean()), round_s * factor)


def _finalists(
    screened: dict[Candidate, _Screened], count: int, extra: Sequence[str]
) -> list[Candidate]:
    """Return the best of each load, its best of each kind, and what was asked for."""
    chosen: dict[str, Candidate] = {}
    for load in sorted({c.load for c in screened}):
        ranked = sorted((c for c in screened if c.load == load), key=lambda c: screened[c].cost)
        arrivals: set[str] = set()
        kinds: set[Kind] = set()
        for candidate in ranked:
            # Of what differs in the cache alone, one is enough among the best.
            among_best = len(arrivals) < count and candidate.arrivals not in arrivals
            if math.isfinite(screened[candidate].cost) and (
                among_best or candidate.kind not in kinds
            ):
                chosen[candidate.scheme] = candidate
                kinds.add(candidate.kind)
                arrivals.add(candidate.arrivals)
    for candidate in screened:
        if candidate.scheme in extra:
            chosen[candidate.scheme] = candidate
    return list(chosen.values())


def _try(
    finalists: Sequence[Candidate],
    screened: dict[Candidate, _Screened],
    settings: RunSettings,
    store: Store,
    target: Target,
    pass_s: float,
    seeds: int,
    progress: Callable[[str], None],
) -> list[Trial]:
    results: dict[Candidate, list[tuple[float, float]]] = {c: [] for c in finalists}
    for seed in range(seeds):
        best: dict[float, float] = {}
        for candidate, tried in results.items():
            first_s = tried[0][0] if tried else 0.0
            best[candidate.load] = min(best.get(candidate.load, math.inf), first_s)
        for candidate, tried in results.items():
            if seed and tried[0][0] > HOPELESS * best[candidate.load]:
                continue
            with_seed = settings.model_copy(
                update={"scheme": candidate.scheme, "seed": settings.seed + seed}
            )
            tried.append(_to_target(with_seed, store, target, pass_s))
        progress(f"seed {seed + 1} of {seeds} done")
    trials = []
    for candidate, tried in results.items():
        delays = DELAYS.build(settings.delay, settings.workers, settings.seed)
        parts = build_scheme(settings.model_copy(update={"scheme": candidate.scheme}))
        seen = screened[candidate]
        trials.append(
            Trial(
                candidate,
                seen.round_s,
                seen.decode_error,
                seen.erased_share,
                expect(parts, delays, pass_s),
                tuple(time_s for time_s, _ in tried),
                tuple(rounds for _, rounds in tried),
            )
        )
    return trials
