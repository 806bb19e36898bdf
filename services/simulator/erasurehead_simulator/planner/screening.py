"""Schemes played without gradients, and ranked by the time to target that is to be expected."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np

from erasurehead.errors import UsageError
from erasurehead.registry import Spec
from erasurehead.schemes.scheme import Scheme
from erasurehead.theory.convergence import LEAST_RENEWED, cached_rounds, followed_rounds
from erasurehead_master.run.waiting import overdue_units, prospect
from erasurehead_simulator.planner.candidates import Candidate
from erasurehead_simulator.planner.parallel import Crew
from erasurehead_simulator.planner.problem import Problem
from erasurehead_simulator.planner.search_space import Pairing
from erasurehead_simulator.virtual.timeline import timeline

PAIRINGS = 3
"""Pairings of each load, and of each kind of scheme, that are played under all stop rules."""

TARGET_SHARE = 0.01
"""Share of the first gap that a target is taken to leave, to judge how quickly the problem
converges from the rounds that exact gradients need."""


@dataclass(frozen=True)
class Played:
    """Means over rounds without gradients; besides, what the method is.

    Attributes
    ----------
    n_units: values a cache would remember.
    optimizer: of a run with the scheme; `is_followed` says whether it follows units.
    """

    round_s: float
    decode_error: float
    mean_weight: float
    erased_share: float
    renewed_share: float
    n_units: int
    optimizer: str
    is_followed: bool


@dataclass(frozen=True)
class Screened:
    """What was seen of a candidate.

    `cost` is the seconds of a round times the rounds that the target should take.
    """

    round_s: float
    decode_error: float
    erased_share: float
    cost: float


class Screening:
    """Plays candidates; a cache changes what is made of arrivals, not when they come, unless the
    method waits for what is old.

    Parameters
    ----------
    exact_rounds: returns how many exact gradients an optimizer needs to the target.
    rounds: to play each scheme for.
    is_followed: whether the method follows units where it can; it then waits for some.
    """

    def __init__(
        self,
        crew: Crew[Problem],
        exact_rounds: Callable[[str], float],
        rounds: int,
        *,
        is_followed: bool,
    ) -> None:
        self._crew = crew
        self._exact_rounds = exact_rounds
        self._rounds = rounds
        self._is_followed = is_followed
        self._pairings: dict[Candidate, Pairing | None] = {}
        self.screened: dict[Candidate, Screened] = {}

    def judge(self, found: Sequence[tuple[Candidate, Pairing | None]]) -> Iterator[None]:
        """Screen candidates with their pairings, unless a stop rule does not fit the decoder.

        Yields after each scheme that was played.
        """
        alike: dict[Scheme, list[tuple[Candidate, Pairing | None]]] = {}
        for candidate, pairing in found:
            traits = candidate.traits
            alone = traits.plays_alone or (self._is_followed and traits.sums_memory)
            key = candidate.scheme if alone else candidate.arrivals
            alike.setdefault(key, []).append((candidate, pairing))
        played_all = self._crew.map(play, [(scheme, self._rounds) for scheme in alike])
        for those, played in zip(alike.values(), played_all, strict=True):
            for candidate, pairing in those:
                if played is not None and candidate not in self.screened:
                    rounds = self._exact_rounds(played.optimizer)
                    self.screened[candidate] = _judge(candidate, played, rounds)
                    self._pairings[candidate] = pairing
            yield

    def best_pairings(self) -> list[Pairing]:
        """Return the pairings with the best schemes of each load and kind, equals once."""
        chosen: dict[tuple[Spec, Spec], Pairing] = {}
        for alike in sorted({(c.whole_load, c.kind) for c in self.screened}):
            those = {c: s for c, s in self.screened.items() if (c.whole_load, c.kind) == alike}
            best = [p for p in map(self._pairings.get, ranked(those)) if p is not None]
            once = {(pairing.code, pairing.decoder): pairing for pairing in best}
            chosen.update(islice(once.items(), PAIRINGS))
        return list(chosen.values())


def play(problem: Problem, scheme_and_rounds: tuple[Scheme, int]) -> Played | None:
    """Play a scheme without gradients; None if its parts or the method do not fit each other."""
    scheme, rounds = scheme_and_rounds
    settings = problem.settings
    try:
        coding = settings.fitted(scheme)
        method = prospect(settings, coding)
    except UsageError:
        return None
    after = settings.refit.regroup_after_rounds
    delays = settings.delays()
    waits, seed = partial(overdue_units, settings), settings.run.seed
    played = timeline(coding, delays, rounds, seed, problem.pass_s, after, waits)
    return Played(
        round_s=float(played.duration_s.mean()),
        decode_error=float(played.decode_error.mean()),
        mean_weight=float(played.mean_weight.mean()),
        erased_share=float(played.erased_share.mean()),
        renewed_share=float(played.renewed_share.mean()),
        n_units=coding.code.n_units,
        optimizer=method.optimizer,
        is_followed=method.overdue is not None,
    )


def _judge(candidate: Candidate, played: Played, exact_rounds: float) -> Screened:
    """Rank a candidate.

    A method that follows units needs the `followed_rounds` of what is renewed times the rounds of
    exact gradients. Others need about (1 + V) times the rounds when gradients are unbiased, V their
    relative variance, and 1/m as many when all of them are m times too short; with a cache, as
    many as `cached_rounds` of what is renewed.
    """
    round_s, error = played.round_s, played.decode_error
    if played.is_followed:
        factor = float(followed_rounds(np.array([played.renewed_share]))[0])
    elif candidate.traits.renews_on_arrival:
        contraction = math.log(1.0 / TARGET_SHARE) / exact_rounds
        factor = float(cached_rounds(np.array([played.renewed_share]), contraction)[0])
        if played.renewed_share * played.n_units < min(LEAST_RENEWED, played.n_units):
            factor = math.inf
    else:
        weight = max(played.mean_weight, 1e-6)
        variance = max(0.0, error - (1.0 - weight) ** 2) / weight**2
        factor = (1.0 + variance) / min(weight, 1.0)
    return Screened(round_s, error, played.erased_share, round_s * factor * exact_rounds)


def ranked(screened: Mapping[Candidate, Screened]) -> list[Candidate]:
    """Return those that may get there, the best first; of equal ones, the first."""
    seen = set()
    kept = []
    for candidate in sorted(screened, key=lambda c: screened[c].cost):
        found = screened[candidate]
        error = 0.0 if candidate.traits.sums_memory else found.decode_error
        numbers = (candidate.load, found.cost, found.round_s, error)
        same = (candidate.kind, *(f"{number:.9g}" for number in numbers))
        if math.isfinite(found.cost) and same not in seen:
            seen.add(same)
            kept.append(candidate)
    return kept
