"""A scheme fitted to a number of workers: its code, and parts that fit the code and each other."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode
from erasurehead.coding.options import UnknownProbabilitiesError
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import Decoder, DecoderContext
from erasurehead.errors import UsageError
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.base import GradientEstimate
from erasurehead.schemes import fitting
from erasurehead.schemes.lightening import lighter
from erasurehead.schemes.scheme import Scheme
from erasurehead.schemes.session import Learnt, Session
from erasurehead.stopping import STOPS
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.observing import LearningStop
from erasurehead.stopping.snapshot import SnapshotStop
from erasurehead.straggling.estimate import StragglerEstimate

CODE_STREAM = 0xC0DE
"""Sets the random numbers that codes are drawn with apart from others of the same seed."""


@dataclass(frozen=True, eq=False)
class Coding:
    """What a scheme is for k slots. Nothing of it is used up: each run begins its own session.

    Made by `Coding.of`.

    Attributes
    ----------
    scheme: what was fitted.
    asked_tasks: n, if it was asked for; None: the code has its natural number.
    seed: what a code that is drawn is drawn from.
    code: which slot computes what.
    places_by: the straggler probabilities that the tasks were placed by, shape (k,), where rounds
        teach them: the code follows some, was given none, and rounds do not wait for the full
        gradient.
    exact: every round waits for the full gradient.
    remembers: the gradient estimate remembers one vector for each unit of the code.
    snapshot_every: rounds from one full gradient that is remembered to the next; None: whatever
        arrives renews what is remembered, if anything is.
    loses: the least relative error of a gradient that rounds with erasures have, 0.0 where there
        are none or something makes up for them. It is known where first copies are added with
        weights near one: a round without one of n tasks has the decode error 1/n, and so the
        gradient the relative error 1/sqrt(n). (A cache brings the error of erasures to zero.)
    unbiased: the mean of a round's gradient is a multiple of the full gradient, if all slots
        straggle alike.
    asked: the scheme that was asked for, if it does not fit so few workers; None: `scheme`.
    """

    scheme: Scheme
    asked_tasks: int | None
    seed: int
    code: GradientCode
    places_by: FloatArray | None
    exact: bool
    remembers: bool
    snapshot_every: int | None
    loses: float
    unbiased: bool
    asked: Scheme | None = None

    @classmethod
    def of(
        cls, scheme: Scheme, n_workers: int, n_tasks: int | None = None, seed: int = 0
    ) -> Coding:
        """Fit a scheme to a number of workers.

        Parameters
        ----------
        n_workers: k.
        n_tasks: n, or None for the code's natural number.
        seed: for codes that are drawn.

        Raises
        ------
        UsageError: an option that is unknown, or parts that do not fit each other or the cluster.
        """
        fitting.check_sizes(n_workers, n_tasks)
        code, follows = _build_code(scheme, n_workers, n_tasks, seed)
        coding = cls._around(code, scheme, n_tasks, seed)
        if not follows or coding.exact:
            return coding
        # What fits equal slots must fit what they turn out to be, or a run would end there.
        coding.placed_by(np.linspace(0.1, 0.9, n_workers))
        return replace(coding, places_by=coding.begin().learnt.slots.probabilities)

    @classmethod
    def _around(cls, code: GradientCode, scheme: Scheme, n_tasks: int | None, seed: int) -> Coding:
        """Make the coding of a code, once the other parts are seen to fit it."""
        rule, decoder, _ = _build_parts(scheme, code)
        fitting.check_parts_are_told_apart(scheme, decoder)
        exact = rule.waits_for_all
        if exact:
            fitting.check_every_task_is_held(scheme, code)
            fitting.check_all_arrivals_are_exact(scheme, decoder)
        # Of one parameter only: it is looked at, and never used.
        estimate = ESTIMATES.build(scheme.estimate, code, 1, exact)
        sums = decoder.sums_first_copies and estimate.memory is None
        erased = rule.arrivals is not None and rule.arrivals + code.tolerance < code.n_arrivals
        return cls(
            scheme=scheme,
            asked_tasks=n_tasks,
            seed=seed,
            code=code,
            places_by=None,
            exact=exact,
            remembers=estimate.memory is not None,
            snapshot_every=estimate.snapshot_every,
            loses=code.n_tasks**-0.5 if sums and erased else 0.0,
            unbiased=exact or (decoder.unbiased and estimate.unbiased),
        )

    def begin(self, slots: StragglerEstimate | None = None) -> Session:
        """Return fresh parts for one run.

        Parameters
        ----------
        slots: what is known of each slot, to go on with; default: nothing.
        """
        rule, decoder, learnt = _build_parts(self.scheme, self.code, slots)
        if self.remembers and self.snapshot_every is None:
            rule.remember(self.code.unit_of_arrival.tolist())
        if decoder.uses_probabilities or self.places_by is not None:
            per_slot = self.code.arrivals_per_slot
            rule = LearningStop(rule, learnt.slots, learnt.groups, per_slot)
        if self.snapshot_every is not None:
            rule = SnapshotStop(rule, self.snapshot_every)
        return Session(decoder, rule, learnt)

    def estimate(self, n_parameters: int) -> GradientEstimate:
        """Return a fresh gradient estimate for a model of so many parameters.

        It is no part of a session: what decides when rounds close never sees a vector.
        """
        return ESTIMATES.build(self.scheme.estimate, self.code, n_parameters, self.exact)

    def placed_by(self, probabilities: FloatArray) -> Coding:
        """Return the coding with its tasks placed by other straggler probabilities, shape (k,).

        Slots and tasks stay what they are.

        Raises
        ------
        UsageError: there is no such code, or the other parts do not fit it.
        """
        code, _ = _build_code(
            self.scheme, self.code.n_workers, self.asked_tasks, self.seed, probabilities
        )
        placed = self._around(code, self.scheme, self.asked_tasks, self.seed)
        return replace(placed, places_by=probabilities, asked=self.asked)

    def resized(self, n_workers: int) -> Coding:
        """Return what the scheme that was asked for is for another number of workers.

        Where it does not exist for so few, it is the one with the largest load that does.

        Raises
        ------
        UsageError: there is none.
        """
        asked = self.asked or self.scheme
        try:
            return Coding.of(asked, n_workers, self.asked_tasks, self.seed)
        except UsageError:
            for scheme in lighter(asked, n_workers):
                with contextlib.suppress(UsageError):
                    fitted = Coding.of(scheme, n_workers, self.asked_tasks, self.seed)
                    return replace(fitted, asked=asked)
            raise


def _build_code(
    scheme: Scheme,
    n_workers: int,
    n_tasks: int | None,
    seed: int,
    probabilities: FloatArray | None = None,
) -> tuple[GradientCode, bool]:
    """Build the code; also return whether it follows probabilities that no option gives."""
    try:
        return CODES.build(scheme.code, n_workers, n_tasks, _drawn_from(seed)), False
    except UnknownProbabilitiesError:
        # Equal ones place tasks alike, however large they are.
        known = np.full(n_workers, 0.5) if probabilities is None else probabilities
        return CODES.build(scheme.code, n_workers, n_tasks, _drawn_from(seed), known), True


def _drawn_from(seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, CODE_STREAM))


def _build_parts(
    scheme: Scheme, code: GradientCode, slots: StragglerEstimate | None = None
) -> tuple[StopRule, Decoder, Learnt]:
    rule = STOPS.build(scheme.stop, code)
    learnt = Learnt.begin(code, rule, slots)
    groups = learnt.groups
    context = DecoderContext(
        rule.arrivals,
        lambda: 1.0 - 1.0 / learnt.slots.weights,
        None if groups is None else lambda: groups.weights,
    )
    return rule, DECODERS.build(scheme.decoder, code, context), learnt
