"""Schemes that train on sampled rows under the virtual clock until they reach a target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from erasurehead.errors import UsageError
from erasurehead.records import RoundRecord
from erasurehead.schemes.scheme import Scheme
from erasurehead.schemes.shorthands import uncoded
from erasurehead.settings.numbers import AUTO
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.planner.candidates import Candidate
from erasurehead_simulator.planner.parallel import Crew
from erasurehead_simulator.planner.problem import Problem
from erasurehead_simulator.planner.target import rate_of
from erasurehead_simulator.virtual.virtual_run import run_virtually

HOPELESS = 1.5
"""A candidate that takes this many times as long as its load's best under the first seed is not
tried under the others."""

ALONE: dict[str, dict[str, object]] = {
    "coding": {"workers": 1, "tasks": None},
    "straggling": {"delay": "none"},
}
"""Settings of exact gradient descent, which needs no code."""


@dataclass(frozen=True)
class Outcome:
    """Virtual seconds and rounds to the target; infinite if it was not reached."""

    time_s: float
    rounds: float


def exact_rounds(problem: Problem) -> int:
    """Count the rounds of exact gradient descent: one worker, which is always waited for.

    Raises
    ------
    UsageError: even that does not reach the target.
    """
    settings = problem.settings
    alone = settings.changed(**ALONE)
    one = Problem(alone, problem.target, 1.0, problem.sample_rows)
    rounds = attempt(one, (alone, uncoded())).rounds
    if math.isinf(rounds):
        raise UsageError(
            f"exact gradient descent does not reach {problem.target} in {settings.descent.rounds}"
            f" rounds on {one.store.manifest.rows} sampled rows; take an easier --target, more"
            " --rounds, another --step or more --sample-rows"
        )
    return int(rounds)


def attempt(problem: Problem, settings_and_scheme: tuple[RunSettings, Scheme]) -> Outcome:
    """Train with these settings, but with this scheme, until the target is reached."""
    given, scheme = settings_and_scheme
    store = problem.store
    settings = given.changed(descent={"evaluate_every_rounds": 1, "until": ()})
    plan = make_plan(settings, store, None, coding=settings.fitted(scheme))
    found: list[RoundRecord] = []

    def enough(record: RoundRecord) -> bool:
        if problem.target.reached(record.metrics[problem.target.metric]):
            found.append(record)
        return bool(found)

    rate = rate_of(store, plan.model, problem.target, plan.l2)
    run_virtually(plan, store, [], problem.pass_s, rate=rate, enough=enough)
    return Outcome(found[0].closed_s, found[0].round) if found else Outcome(math.inf, math.inf)


def try_all(
    crew: Crew[Problem],
    problem: Problem,
    finalists: Sequence[Candidate],
    seeds: int,
    progress: Callable[[str], None],
) -> dict[Candidate, list[Outcome]]:
    """Try finalists under one seed after another, those that are hopeless only under the first.

    Those have their turn after all if no other reaches the target under most seeds.
    """
    outcomes: dict[Candidate, list[Outcome]] = {c: [] for c in finalists}
    seeded = [_with_seed(problem, problem.settings.run.seed + seed) for seed in range(seeds)]

    def go_on(chosen: Sequence[Candidate], seed: int) -> None:
        given = [(seeded[seed], candidate.scheme) for candidate in chosen]
        for candidate, outcome in zip(chosen, crew.map(attempt, given, at_once=1), strict=True):
            outcomes[candidate].append(outcome)
        progress(f"seed {seed + 1} of {seeds} done")

    go_on(finalists, 0)
    first_s = {candidate: outcome.time_s for candidate, (outcome,) in outcomes.items()}
    best_s: dict[int, float] = {}
    for candidate, time_s in first_s.items():
        best_s[candidate.whole_load] = min(time_s, best_s.get(candidate.whole_load, math.inf))
    arrived = [c for c in finalists if math.isfinite(first_s[c])]
    hopeful = [c for c in arrived if first_s[c] <= HOPELESS * best_s[c.whole_load]]
    for seed in range(1, seeds):
        go_on(hopeful, seed)
    if not any(math.isfinite(median(o.time_s for o in outcomes[c])) for c in hopeful):
        others = [c for c in arrived if c not in hopeful]
        for seed in range(1, seeds if others else 1):
            go_on(others, seed)
    return outcomes


def _with_seed(problem: Problem, seed: int) -> RunSettings:
    """Return the settings of trials under a seed, with a method's automatic step looked up once.

    Where each scheme has the method that suits it, each has that method's step.
    """
    settings = problem.settings.changed(run={"seed": seed})
    if settings.descent.optimizer == AUTO:
        return settings
    alone = settings.changed(**ALONE)
    plan = make_plan(alone, problem.store, None, coding=alone.fitted(uncoded()))
    descent = make_descent(plan, problem.store.train)
    return settings.changed(descent={"step": str(descent.size)})
