"""Which scheme reaches a target soonest, for what storage: a search by simulation.

First every code with every decoder is played without gradients, which is cheap, under a few stop
rules, and ranked by time a round times the rounds it should need more than exact gradient descent.
The best of each load are played under all stop rules. Of those, the best of each load and of each
kind train on a sample of the rows under the virtual clock, once for each seed, until they reach the
target. Only those times are reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from erasurehead.coding.base import RepetitionCode
from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.records import RoundRecord
from erasurehead.schemes import Scheme
from erasurehead.settings import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead.theory.convergence import LEAST_RENEWED, cached_rounds
from erasurehead_master.plan import build_scheme, make_plan
from erasurehead_simulator.candidates import COARSE, FINE, Candidate, Kind, candidates
from erasurehead_simulator.expectation import expect
from erasurehead_simulator.findings import Findings, Trial
from erasurehead_simulator.running import run_virtually
from erasurehead_simulator.searched import Coding, build, codings, load_of
from erasurehead_simulator.target import Target, rate_of
from erasurehead_simulator.timeline import Timeline, timeline

COARSE_ROUNDS, FINE_ROUNDS = 40, 80
"""Rounds that a scheme is played for, before and after the best codings are chosen."""

CODINGS = 3
"""Codings of each load, and of each kind of scheme, that are played under all stop rules."""

TOLD_EVERY = 100
"""Codings from one word of progress to the next."""

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
    _check(effort, max_load, settings.workers)
    asked = [_asked(text, settings) for text in extra]
    store = sample(Store.open(settings.store), effort.sample_rows, TEST_ROWS)
    whole = Store.open(settings.store).manifest
    delays = DELAYS.build(settings.delay, settings.workers, settings.seed)
    every = list(
        codings(
            settings.workers,
            settings.tasks,
            max_load,
            settings.seed,
            alike=delays.slots_are_alike or not settings.membership.regroup_after_rounds,
        )
    )
    if not every:
        raise UsageError(
            f"no scheme exists for {settings.workers} workers and"
            f" {settings.tasks or settings.workers} tasks within --max-load {max_load}; leave"
            " --tasks out or raise --max-load"
        )
    exact_rounds = _exact_rounds(settings, store, target)
    progress(
        f"exact gradient descent reaches {target} in round {exact_rounds} on"
        f" {store.manifest.rows:,} sampled rows"
    )
    coarse = _Screening(settings, pass_s, exact_rounds, COARSE_ROUNDS)
    for n_played, coding in enumerate(every):
        if n_played and n_played % TOLD_EVERY == 0:
            progress(f"{n_played} of {len(every)} codes with decoders played")
        for found in candidates(coding, COARSE, delays, pass_s):
            coarse.judge(found, coding)
    best = coarse.best_codings()
    progress(f"{len(every)} codes with decoders played, {len(best)} are played with all stop rules")
    fine = _Screening(settings, pass_s, exact_rounds, FINE_ROUNDS)
    for found in asked:
        fine.judge(found, None)
    for coding in best:
        for found in candidates(coding, FINE, delays, pass_s):
            fine.judge(found, coding)
    screened = fine.screened
    finalists = _finalists(screened, effort.finalists, asked)
    n_candidates = len({c.scheme for c in (*coarse.screened, *screened)})
    progress(f"{n_candidates} schemes screened, {len(finalists)} are tried")
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
        n_candidates,
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


def _check(effort: Effort, max_load: int, n_workers: int) -> None:
    for name, value in (
        ("--seeds", effort.seeds),
        ("--finalists", effort.finalists),
        ("--sample-rows", effort.sample_rows),
    ):
        if value < 1:
            raise UsageError(f"{name} {value} is too few; use at least 1")
    if not 1 <= max_load <= n_workers:
        raise UsageError(
            f"--max-load {max_load} does not fit {n_workers} workers; it counts k-th parts of the"
            f" data stored per worker, 1 to {n_workers}"
        )


def _asked(scheme: str, settings: RunSettings) -> Candidate:
    """Return a scheme that was asked for, under the name it was asked for by."""
    code = build(scheme, settings.workers, settings.tasks, settings.seed).code
    return Candidate(scheme, load_of(code), Kind.of(Scheme.parse(scheme)))


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


class _Screening:
    """Plays candidates; a cache changes what is made of arrivals, not when they come."""

    def __init__(
        self, settings: RunSettings, pass_s: float, exact_rounds: int, rounds: int
    ) -> None:
        self._settings = settings
        self._pass_s = pass_s
        self._exact_rounds = exact_rounds
        self._rounds = rounds
        self._played: dict[str, tuple[Timeline, int] | None] = {}
        self._codings: dict[Candidate, Coding | None] = {}
        self.screened: dict[Candidate, _Screened] = {}

    def judge(self, candidate: Candidate, coding: Coding | None) -> None:
        """Screen a candidate, unless a stop rule does not fit its decoder."""
        own = candidate.kind is Kind.SVRG or "adaptive" in candidate.arrivals
        key = candidate.scheme if own else candidate.arrivals
        if key not in self._played:
            self._played[key] = self._play(key)
        played = self._played[key]
        if played is not None and candidate not in self.screened:
            self.screened[candidate] = _judge(candidate, *played, self._exact_rounds)
            self._codings[candidate] = coding

    def best_codings(self) -> list[Coding]:
        """Return the codings with the best schemes of each load and kind, equals once."""
        chosen: dict[str, Coding] = {}
        for alike in sorted({(c.whole_load, c.kind) for c in self.screened}):
            those = {c: s for c, s in self.screened.items() if (c.whole_load, c.kind) == alike}
            best = {c.text: c for c in map(self._codings.get, _ranked(those)) if c is not None}
            chosen.update(islice(best.items(), CODINGS))
        return list(chosen.values())

    def _play(self, scheme: str) -> tuple[Timeline, int] | None:
        """Return rounds without gradients, and how many values a cache would remember."""
        settings = self._settings
        delays = DELAYS.build(settings.delay, settings.workers, settings.seed)
        try:
            parts = build(scheme, settings.workers, settings.tasks, settings.seed)
        except UsageError:
            return None
        after = settings.membership.regroup_after_rounds
        code = parts.code
        n_units = code.n_blocks if isinstance(code, RepetitionCode) else code.n_workers
        played = timeline(parts, delays, self._rounds, settings.seed, self._pass_s, after)
        return played, n_units


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


def _ranked(screened: Mapping[Candidate, _Screened]) -> list[Candidate]:
    """Return those that may get there, the best first; of what comes to the same, the first."""
    seen = set()
    kept = []
    for candidate in sorted(screened, key=lambda c: screened[c].cost):
        found = screened[candidate]
        # SAG makes nothing of a decoder's weights.
        error = 0.0 if candidate.kind is Kind.SAG else found.decode_error
        numbers = (candidate.load, found.cost, found.round_s, error)
        same = (candidate.kind, *(f"{number:.9g}" for number in numbers))
        if math.isfinite(found.cost) and same not in seen:
            seen.add(same)
            kept.append(candidate)
    return kept


def _finalists(
    screened: Mapping[Candidate, _Screened], count: int, asked: Sequence[Candidate]
) -> list[Candidate]:
    """Return the best of each whole load, its best of each kind, and what was asked for."""
    chosen: dict[str, Candidate] = {}
    for load in sorted({c.whole_load for c in screened}):
        arrivals: set[str] = set()
        kinds: set[Kind] = set()
        for candidate in _ranked({c: s for c, s in screened.items() if c.whole_load == load}):
            # Of what differs in the cache alone, one is enough among the best.
            among_best = len(arrivals) < count and candidate.arrivals not in arrivals
            if among_best or candidate.kind not in kinds:
                chosen[candidate.scheme] = candidate
                kinds.add(candidate.kind)
                arrivals.add(candidate.arrivals)
    chosen.update((candidate.scheme, candidate) for candidate in asked)
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
                expect(parts, delays, pass_s, settings.membership.regroup_after_rounds),
                tuple(time_s for time_s, _ in tried),
                tuple(rounds for _, rounds in tried),
            )
        )
    return trials
