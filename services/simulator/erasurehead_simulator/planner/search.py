"""Which scheme reaches a target soonest, for what storage: a search by simulation.

First every code with every decoder is played without gradients, which is cheap, under a few stop
rules, and ranked by time a round times the rounds that its method should need.
The best of each load are played under all stop rules. Of those, the best of each load and of each
kind train on a sample of the rows under the virtual clock, once for each seed, until they reach the
target. Only those times are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.schemes.scheme import Scheme
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.waiting import prospect
from erasurehead_simulator.laws.expectation import expect
from erasurehead_simulator.planner.candidates import (
    COARSE,
    FINE,
    Candidate,
    Rules,
    Traits,
    candidates,
)
from erasurehead_simulator.planner.parallel import Crew, crew
from erasurehead_simulator.planner.problem import Problem
from erasurehead_simulator.planner.results import SearchResult, Trial
from erasurehead_simulator.planner.screening import Screened, Screening, ranked
from erasurehead_simulator.planner.search_space import Pairing, load_of, pairings
from erasurehead_simulator.planner.target import Target
from erasurehead_simulator.planner.trials import (
    best_exact_rounds,
    exact_rounds,
    follows_units,
    try_all,
    words,
)

COARSE_ROUNDS, FINE_ROUNDS = 40, 80
"""Rounds that a scheme is played for, before and after the best pairings are chosen."""

NOTHING_MORE: Mapping[str, Scheme] = MappingProxyType({})

TOLD_EVERY = 200
"""Schemes from one word of progress to the next."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How far to search.

    Attributes
    ----------
    seeds: runs of each finalist, at least 1.
    finalists: schemes of each load that train.
    sample_rows: training rows they train on.
    jobs: processes that search; they change nothing in what is found.
    """

    seeds: int = 5
    finalists: int = 3
    sample_rows: int = 20_000
    jobs: int = 1


def search(
    settings: RunSettings,
    target: Target,
    max_load: int,
    pass_s: float,
    effort: Effort,
    extra: Mapping[str, Scheme] = NOTHING_MORE,
    progress: Progress = lambda text: None,
) -> SearchResult:
    """Screen all candidates, try the best, and return what they took.

    Parameters
    ----------
    settings: everything but the scheme; `rounds` is the most that a trial may take.
    extra: schemes to try in any case, by the texts that they are asked for by.
    progress: told of each step, in words.

    Raises
    ------
    UsageError: cluster, target or effort are impossible, or no scheme reaches the target.
    """
    _check(effort, max_load, settings.coding.workers)
    if settings.descent.batch < 1.0:
        raise UsageError(
            f"the search counts rounds on all rows, and --batch {settings.descent.batch:g} uses a"
            " share of them; leave it out"
        )
    asked = [_asked(text, scheme, settings) for text, scheme in extra.items()]
    whole = Store.open(settings.problem.store).manifest
    # What is tried on a sample has the penalty of all rows.
    settings = settings.changed(problem={"l2": settings.problem.l2_weight(whole.rows)})
    problem = Problem(settings, target, pass_s, effort.sample_rows)
    every = _pairings(settings, max_load)
    optimizer, rounds = best_exact_rounds(problem)
    n_rows = problem.store.manifest.rows
    progress(
        f"exact {words(optimizer)} reaches {target} in round {rounds} on {n_rows:,} sampled rows"
    )
    counted = {optimizer: float(rounds)}

    def rounds_of(other: str) -> float:
        if other not in counted:
            counted[other] = exact_rounds(problem, other)
        return counted[other]

    with crew(problem, effort.jobs) as searchers:
        follows = follows_units(settings)
        coarse = Screening(searchers, rounds_of, COARSE_ROUNDS, is_followed=follows)
        _play(coarse, problem, every, COARSE, progress)
        best = coarse.best_pairings()
        progress(
            f"{len(every)} codes with decoders played, {len(best)} are played with all stop rules"
        )
        fine = Screening(searchers, rounds_of, FINE_ROUNDS, is_followed=follows)
        _play(fine, problem, best, FINE, progress, asked)
        finalists = _finalists(fine.screened, effort.finalists, asked)
        n_candidates = len({c.scheme for c in (*coarse.screened, *fine.screened)})
        progress(f"{n_candidates} schemes screened, {len(finalists)} are tried")
        trials = _try(searchers, problem, finalists, fine.screened, effort.seeds, progress)
    found = SearchResult(
        target,
        effort.seeds,
        tuple(sorted(trials, key=lambda t: (t.candidate.load, t.median_s))),
        n_candidates,
        words(optimizer),
        rounds,
        n_rows,
        whole.rows,
        sum(e.file_bytes for name, e in whole.arrays.items() if not name.startswith("test_")),
    )
    if not found.frontier:
        raise UsageError(
            f"no scheme reached {target} within {settings.descent.rounds} rounds under most seeds;"
            " raise --rounds or take an easier --target"
        )
    return found


def _check(effort: Effort, max_load: int, n_workers: int) -> None:
    for name, value in (
        ("--seeds", effort.seeds),
        ("--finalists", effort.finalists),
        ("--sample-rows", effort.sample_rows),
        ("--jobs", effort.jobs),
    ):
        if value < 1:
            raise UsageError(f"{name} {value} is too few; use at least 1")
    if not 1 <= max_load <= n_workers:
        raise UsageError(
            f"--max-load {max_load} does not fit {n_workers} workers; it counts k-th parts of the"
            f" data stored per worker, 1 to {n_workers}"
        )


def _asked(text: str, scheme: Scheme, settings: RunSettings) -> Candidate:
    """Return a scheme that was asked for, under the name it was asked for by.

    Raises
    ------
    UsageError: there is no such scheme, or the optimizer does not go with it.
    """
    coding = settings.fitted(scheme)
    prospect(settings, coding)
    code = coding.code
    return Candidate(scheme, load_of(code), Traits.of(scheme, code), text)


def _pairings(settings: RunSettings, max_load: int) -> list[Pairing]:
    """Return every code with every decoder that there is to choose from."""
    delays = settings.delays()
    alike = delays.slots_are_alike or not settings.refit.regroup_after_rounds
    every = list(
        pairings(
            settings.coding.workers, settings.coding.tasks, max_load, settings.run.seed, alike=alike
        )
    )
    if not every:
        raise UsageError(
            f"no scheme exists for {settings.coding.workers} workers and"
            f" {settings.coding.tasks or settings.coding.workers} tasks within --max-load"
            f" {max_load}; leave --tasks out or raise --max-load"
        )
    return every


def _play(
    screening: Screening,
    problem: Problem,
    chosen: Sequence[Pairing],
    rules: Rules,
    progress: Progress,
    asked: Sequence[Candidate] = (),
) -> None:
    """Screen pairings under some stop rules, and before them what was asked for."""
    settings = problem.settings
    delays = settings.delays()
    found: list[tuple[Candidate, Pairing | None]] = [(candidate, None) for candidate in asked]
    for pairing in chosen:
        found += [(c, pairing) for c in candidates(pairing, rules, delays, problem.pass_s)]
    for n_played, _ in enumerate(screening.judge(found), 1):
        if n_played % TOLD_EVERY == 0:
            progress(f"{n_played} schemes played")


def _finalists(
    screened: Mapping[Candidate, Screened], count: int, asked: Sequence[Candidate]
) -> list[Candidate]:
    """Return the best of each whole load, its best of each kind, and what was asked for."""
    chosen: dict[Scheme, Candidate] = {}
    for load in sorted({c.whole_load for c in screened}):
        arrivals: set[Scheme] = set()
        kinds: set[str] = set()
        for candidate in ranked({c: s for c, s in screened.items() if c.whole_load == load}):
            # Of what differs in the cache alone, one is enough among the best.
            among_best = len(arrivals) < count and candidate.arrivals not in arrivals
            if among_best or candidate.kind not in kinds:
                chosen[candidate.scheme] = candidate
                kinds.add(candidate.kind)
                arrivals.add(candidate.arrivals)
    chosen.update((candidate.scheme, candidate) for candidate in asked)
    return list(chosen.values())


def _try(
    searchers: Crew[Problem],
    problem: Problem,
    finalists: Sequence[Candidate],
    screened: Mapping[Candidate, Screened],
    seeds: int,
    progress: Progress,
) -> list[Trial]:
    outcomes = try_all(searchers, problem, finalists, seeds, progress)
    settings = problem.settings
    delays = settings.delays()
    trials = []
    for candidate, tried in outcomes.items():
        coding = settings.fitted(candidate.scheme)
        waits = prospect(settings, coding).overdue is not None
        seen = screened[candidate]
        after = settings.refit.regroup_after_rounds
        trials.append(
            Trial(
                candidate,
                seen.round_s,
                seen.decode_error,
                seen.erased_share,
                expect(coding, delays, problem.pass_s, after, waits=waits),
                tuple(outcome.time_s for outcome in tried),
                tuple(outcome.rounds for outcome in tried),
            )
        )
    return trials
