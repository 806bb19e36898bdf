"""What a decoder is: arrivals in, weights out, and how good the result is.

A decoder decides on *weights* only; it never sees a gradient. For the survivors R it fixes w_i and
the master forms g_hat = sum_{i in R} w_i y_i, so the *realised task weights* are
alpha_j = sum_i w_i A[i, j] and the decode error is ||alpha - 1||^2 / n. `erasurehead.estimating`
applies the weights to vectors. Keeping the two apart lets stop rules and the simulator ask for
coverage and error without any arithmetic on models.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode

EXACT_ERROR = 1e-14
"""Decode errors up to this are rounding of an exact decoding."""


@dataclass(frozen=True)
class DecoderContext:
    """What a decoder may need to know besides its code.

    Attributes
    ----------
    stop_arrivals: r of a stop rule that closes the round at the r-th arrival, else None.
    probabilities: returns the straggler probability p of each slot, shape (k,), such that 1/(1-p)
        is right on average; asked once a round.
    group_weights: of a repetition code, returns 1/(1-q_b) for each block, shape (B,), with
        q_b the probability that no slot that holds it is in time; asked once a round.
    """

    stop_arrivals: int | None = None
    probabilities: Callable[[], FloatArray] | None = None
    group_weights: Callable[[], FloatArray] | None = None


@dataclass(frozen=True)
class Decoding:
    """The outcome of one round.

    The gradient estimate is ``scale * sum(folded weight * y) + sum(held weight * y)``.

    Attributes
    ----------
    scale: common factor of everything that was folded in on arrival.
    held: symbol -> weight for symbols that had to be kept until the end.
    task_weights: alpha, shape (n,).
    decode_error: ||alpha - 1||^2 / n.
    amplification: max_j sum_i |w_i| |A[i, j]|: rounding errors of the messages are magnified by it.
    erased_tasks: tasks that no survivor covers (or that the decoder had to leave out).
    """

    scale: float
    task_weights: FloatArray
    decode_error: float
    amplification: float
    erased_tasks: int
    held: Mapping[int, float] = field(default_factory=dict)


class Decoder(ABC):
    """Weights for the arrivals of one round after another.

    `begin`, then `arrive` for every symbol in order of arrival, then `finish`; `exact` and `error`
    may be asked at any time in between. One decoder serves one code.
    """

    uses_probabilities = False
    """True when the weights follow `DecoderContext.probabilities`: a run must learn them."""

    sums_first_copies = False
    """True when the estimate is a sum of first copies, with weights near one."""

    exact_when_decodable = False
    """True when `exact` is, as soon as the arrivals hold the full gradient."""

    exact_needs_all = False
    """True when `exact` only holds once all slots have arrived."""

    rarely_exact = False
    """True when hardly any set of arrivals but all of them is exact: stop rule `exact` would then
    wait for all slots."""

    may_leave_tasks_out = True
    """False when every task that an arrival holds counts."""

    unbiased = False
    """True when E[alpha] is the same for all tasks, if all slots straggle alike: the estimate is
    then right on average, but for a factor."""

    no_worse_than_one_step: Literal["mean", "optimal"] | None = None
    """The scale of one-step decoding whose decode error this one's never exceeds, if any."""

    instead_of_exact = "least-squares or another stop rule, for example fraction:delta=0.2"
    """What to use for a code of which this decoder never gets the full gradient."""

    def __init__(self, code: GradientCode) -> None:
        self.code = code

    @abstractmethod
    def begin(self) -> None:
        """Start a round with no arrivals."""

    @abstractmethod
    def arrive(self, symbol: int) -> float | None:
        """Take one symbol.

        Returns
        -------
        The weight to fold it in with at once, 0.0 when it adds nothing and can be dropped, or None
        when the weight is only known at the end and the symbol must be kept.
        """

    @property
    @abstractmethod
    def exact(self) -> bool:
        """True when the arrivals so far hold the sum of all task gradients (by rank or coverage).

        Waiting longer gains nothing. The realised weights are then alpha = 1 to rounding, unless
        the decoder's scale is a fixed one, such as 1/(1-p).
        """

    @abstractmethod
    def error(self) -> float:
        """Return the decode error ||alpha - 1||^2 / n if the round closed now."""

    @abstractmethod
    def finish(self) -> Decoding:
        """Close the round and return its weights."""


def summarize(
    code: GradientCode, weights: FloatArray, scale: float, held: Mapping[int, float]
) -> Decoding:
    """Fill a `Decoding` from final weights of all symbols, shape (n_symbols,), zeros for absent."""
    # Not `weights @ matrix`, which would transpose the matrix in every round.
    alpha = np.asarray(code.by_task @ weights)
    positive = weights.min(initial=0.0) >= 0 and code.matrix.data.min(initial=0.0) >= 0
    magnitude = alpha if positive else np.asarray(code.magnitudes_by_task @ np.abs(weights))
    covered = magnitude > 0
    return Decoding(
        scale=scale,
        held=held,
        task_weights=alpha,
        decode_error=float(np.sum((alpha - 1.0) ** 2) / code.n_tasks),
        amplification=float(magnitude.max(initial=0.0)),
        erased_tasks=int(code.n_tasks - np.count_nonzero(covered)),
    )
