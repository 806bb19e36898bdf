"""What a method is: it says where to ask for a gradient next, and what to make of the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.errors import DataError
from erasurehead.optimizing.curvature import Curvature
from erasurehead.optimizing.finding import Ages, Finding, Renewal, UnitGradient
from erasurehead.optimizing.penalty import Penalty
from erasurehead.optimizing.steps import StepSize
from erasurehead.optimizing.unit_curvature import UnitCurvature
from erasurehead.parts import InParts, Work, at_once

BLOCK_PARAMETERS = 1 << 14
"""A part of a model whose vectors fit a cache together."""

Unit = float | Literal["1/curvature"]
"""The step size that suits a method when the user chooses none: methods that follow a gradient need
the curvature's inverse, methods with an image of the curvature of their own a whole step."""


@dataclass(frozen=True, slots=True)
class RoundKind:
    """What a coding makes of the rounds of a run.

    Attributes
    ----------
    exact: every round has the full gradient.
    n_units: how many units there are of which gradients are remembered that sum up to the estimate
        of a round; 0: estimates are no such sums.
    units_a_round: how many of them a round renews, on average.
    curvatures: finds how each unit curves, units that no slot sends among them; that takes passes
        over rows. None: nobody can say it.
    whole: every task is summed over all its rows; else a round has a batch of them, and other
        rounds have other rows.
    unbiased: the mean of a round's gradient is a multiple of the full gradient, if all slots
        straggle alike.
    """

    exact: bool = False
    n_units: int = 0
    units_a_round: float = 0.0
    curvatures: Callable[[], Sequence[UnitCurvature]] | None = None
    whole: bool = True
    unbiased: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is known of the objective, and of the rounds, before the first round.

    Attributes
    ----------
    start: the parameters to begin with, shape (n_parameters,); only read.
    penalty: what is added to the mean loss.
    curvature: second derivatives of the mean loss; finding them takes passes over rows.
    rounds: what is to be expected of them.
    """

    start: FloatArray
    penalty: Penalty
    curvature: Curvature
    rounds: RoundKind = RoundKind()


@dataclass(frozen=True, slots=True)
class Move:
    """What a method made of a round.

    Attributes
    ----------
    size: of its step.
    rejects: the round was not to be trusted. Nothing of it is remembered, as if no result had
        arrived, and `query` says where to ask instead.
    forgets: units that the method no longer counts on. What is remembered of them is forgotten:
        from the next round on, they are as if they had never been heard.
    """

    size: float
    rejects: bool = False
    forgets: Collection[int] = ()


def blocks(n_parameters: int) -> Iterator[slice]:
    """Yield blocks of parameters that fit a cache, with both ends and no step."""
    for lo in range(0, n_parameters, BLOCK_PARAMETERS):
        yield slice(lo, min(lo + BLOCK_PARAMETERS, n_parameters))


class Method(ABC):
    """Minimises mean loss + penalty with one gradient a round.

    Before a round: `overdue`, then `query` is broadcast. After it: `step`. Where an estimate has a
    memory, a method may look into it, if it `follows_units`: it is then handed what each arrival
    changes there, may reject the round, and may have units waited for. Memory and anchors (what was
    broadcast when a remembered gradient was taken) are kept for it.

    A method is some arrays of model size and in-place arithmetic: a master may hold only a few
    copies of a model. Steps work through the parameters in blocks that fit a cache, with one block
    of scratch.

    Parameters
    ----------
    problem: what is minimised.

    Attributes
    ----------
    rounds: what is to be expected of them.
    """

    unit: ClassVar[Unit] = "1/curvature"
    """What an automatic step size is for this method."""

    follows_units: ClassVar[bool] = False
    """Whether findings must tell of units; the gradient estimate must then sum what it remembers
    of each."""

    needs_exact_rounds: ClassVar[bool] = False
    """Whether its steps are no better than others unless rounds have the full gradient, of all
    rows."""

    needs_unbiased_rounds: ClassVar[bool] = False
    """Whether a bias of the gradient estimate would lead it astray (`RoundKind.unbiased`)."""

    predicts: ClassVar[bool] = False
    """Whether `predicted_decrease` is known sooner or later."""

    needs_curvature: ClassVar[bool] = False
    """Whether it needs a bound of the model's curvature."""

    proximal: ClassVar[bool] = False
    """Whether it takes the proximal step of a penalty that has no gradient everywhere
    (`Penalty.smooth`)."""

    in_parts: InParts = staticmethod(at_once)
    """How long vectors are worked on, where a method takes long; a process with several cores sets
    another, between rounds."""

    def __init__(self, problem: Problem) -> None:
        self.n_parameters = len(problem.start)
        self.penalty = problem.penalty
        self.rounds = problem.rounds
        self._scratch = np.empty(min(self.n_parameters, BLOCK_PARAMETERS))

    @property
    @abstractmethod
    def query(self) -> FloatArray:
        """The point to broadcast, shape (n_parameters,); the method's own, valid until the next
        step."""

    @property
    @abstractmethod
    def model(self) -> FloatArray:
        """The estimate of the minimum, shape (n_parameters,); the method's own, valid until the
        next step."""

    @property
    def predicted_decrease(self) -> float | None:
        """How far the objective f is above its minimum after a step, by the method's own image of
        its curvature: g·H g / 2 for the gradient g of f and an inverse Hessian H.

        None: the method has no such image, or there are fewer than two pairs. Where nothing is
        remembered of some units, it is that of the others as they stand for all. An H that is
        right where the method steps next is often too small where f is flat, and most of what is
        left may lie there: see `far_scale`.
        """
        return None

    @abstractmethod
    def step(self, found: Finding, size: StepSize) -> Move:
        """Move `query` and `model` by what a round has found.

        The method may keep the renewals' points and values by reference, not the gradient.
        """

    def overdue(self, ages: Ages, since_start: int | None) -> Collection[int]:
        """Return the units without which the round that opens must not close, if they can arrive.

        Asked of methods that follow units. It must follow from what is given and the state alone.

        Parameters
        ----------
        ages: of all units.
        since_start: which round this is of those since the run began, from 1; None: units hold
            other rows than at the start, or the model was not that of a start.
        """
        return ()

    def catch_up(self) -> None:  # noqa: B027
        """Do what of the last step could wait until its point was broadcast.

        Asked of methods that follow units, before anything else of the round that opens; the
        gradient of the last finding is still valid.
        """

    def look_ahead(self, unit: int, point: FloatArray, known: UnitGradient) -> None:  # noqa: B027
        """Find what the next step must know of a unit that may arrive, while results are awaited.

        Asked of methods that follow units, between `overdue` and `step`, for none or some of the
        units. The step must come to the same.

        Parameters
        ----------
        point: the query, as units receive it, shape (n_parameters,).
        known: what is remembered of the unit.
        """

    def arrived(self, renewal: Renewal) -> None:  # noqa: B027
        """Take in a result of the open round while others are awaited.

        Asked of methods that follow units, between `overdue` and `step`, for none or the first of
        the renewals that the step will be handed, in their order. The step must come to the same.
        """

    def forget_units(self, rounds: RoundKind) -> None:
        """Go on from `query` with units that hold other rows, of which nothing is remembered.

        `rounds` is what is to be expected from now on.
        """
        self.rounds = rounds

    @abstractmethod
    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold, by names; the method's own arrays."""

    @abstractmethod
    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from `state`, to the last bit as if nothing had happened.

        Raises
        ------
        DataError: it is not a state of this method and model size.
        """

    def _in_parts(self, n_parameters: int, work: Work) -> None:
        self.in_parts(n_parameters, work)

    def _blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """Yield blocks of parameters, each with scratch space of its length."""
        for here in blocks(self.n_parameters):
            yield here, self._scratch[: here.stop - here.start]

    def _vector(self, state: Mapping[str, npt.NDArray[Any]], key: str) -> FloatArray:
        found = state.get(key)
        if found is None or found.shape != (self.n_parameters,):
            size = "none" if found is None else f"shape {found.shape}"
            raise DataError(
                f"the checkpoint's '{key}' is {size}, expected shape ({self.n_parameters},);"
                " resume with the store and the optimizer it was written by"
            )
        return found

    def _numbers(self, state: Mapping[str, npt.NDArray[Any]], key: str, n: int = 1) -> FloatArray:
        found = state.get(key)
        if found is None or found.shape != (n,):
            raise DataError(
                f"the checkpoint's '{key}' is missing; it is damaged, take an older one"
            )
        return found
