"""Schemes that train on sampled rows under the virtual clock until they reach a target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from erasurehead.errors import UsageError
from erasurehead.records import RoundRecord
from erasurehead.registry import Spec
from erasurehead.schemes.scheme import Scheme
from erasurehead.schemes.shorthands import uncoded
from erasurehead.settings.numbers import AUTO
from erasurehead.settings.tree import RunSettings
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.setup import make_descent
from erasurehead_master.run.waiting import prospect
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
"""Settings of a run with exact gradients, which needs no code."""

REMEMBERING = uncoded(cache="sag")
"""A scheme that goes with every method."""


@dataclass(frozen=True)
class Outcome:
    """Virtual seconds and rounds to the target; infinite if it was not reached."""

    time_s: float
    rounds: float


def exact_rounds(problem: Problem, optimizer: str) -> float:
    """Count the rounds of an optimizer with exact gradients: one worker, always waited for.

    Infinite if that does not reach the target.
    """
    alone = problem.settings.changed(**ALONE, descent={"optimizer": optimizer})
    one = Problem(alone, problem.target, 1.0, problem.sample_rows)
    return attempt(one, (alone, REMEMBERING if follows_units(alone) else uncoded())).rounds


def follows_units(settings: RunSettings) -> bool:
    """Return whether the method of these settings follows units where a scheme remembers them."""
    alone = settings.changed(**ALONE)
    return prospect(alone, alone.fitted(REMEMBERING)).overdue is not None


def best_exact_rounds(problem: Problem) -> tuple[str, int]:
    """Return the optimizer that exact gradients have, and how many rounds it needs with them.

    Raises
    ------
    UsageError: even that does not reach the target.
    """
    settings = problem.settings
    alone = settings.changed(**ALONE)
    optimizer = settings.descent.optimizer
    if optimizer == AUTO:
        optimizer = prospect(settings, alone.fitted(uncoded())).optimizer
    rounds = exact_rounds(problem, optimizer)
    if math.isinf(rounds):
        raise UsageError(
            f"exact {words(optimizer)} does not reach {problem.target} in"
            f" {settings.descent.rounds} rounds on {problem.store.manifest.rows} sampled rows; take"
            " an easier --target, more --rounds, another --step or more --sample-rows"
        )
    return optimizer, int(rounds)


def words(optimizer: str) -> str:
    """Return an optimizer's name for a sentence."""
    return Spec.parse(optimizer).name.replace("-", " ")


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

    rate = rate_of(store, plan.model, problem.target, plan.penalty)
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
    plan = make_plan(alone, problem.store, None, coding=alone.fitted(REMEMBERING))
    descent = make_descent(plan, problem.store.train)
    return settings.changed(descent={"step": str(descent.size)})
