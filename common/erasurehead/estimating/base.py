"""What a gradient estimate is: it applies a decoder's weights to the vectors that arrive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.decoding.base import Decoding
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.memory import Memory
from erasurehead.parts import InParts, at_once


class GradientEstimate(ABC):
    """Sums weighted coded gradients of one round after another.

    `begin`; then `take` for each vector with what its decoder said; then `finish`; then, once it
    is clear what becomes of the round, `absorb` or `reject`. `late` may come at any time but
    between `finish` and those. A vector's loss is weighted like its values.
    """

    in_parts: InParts = staticmethod(at_once)
    """How long sums are worked on; a process with several cores sets another, between rounds."""

    memory: Memory | None = None
    """What is remembered from round to round; None: nothing."""

    snapshot_every: int | None = None
    """Rounds from one full gradient that is remembered to the next; None: whatever arrives renews
    what is remembered of its unit, if anything is."""

    sums_memory: ClassVar[bool] = False
    """Whether an estimate is the sum of what is remembered, what arrived in its round included."""

    unbiased: ClassVar[bool] = False
    """Whether estimates are right on average if the decoder's weights are."""

    must_sum_memory: bool = False
    """Whether it must be that sum even where what arrived decodes exactly without it; set by those
    who need it, between rounds."""

    @property
    def renews_on_arrival(self) -> bool:
        """True when what is remembered of a unit is renewed whenever it arrives."""
        return self.memory is not None and self.snapshot_every is None

    @abstractmethod
    def begin(self) -> None:
        """Start a round with nothing in it."""

    def take(self, vector: CodedVector, weight: float | None) -> None:
        """Take an arrival with the weight that `Decoder.arrive` returned for its symbol.

        None: the weight is known when the round closes; 0: the arrival does not count.
        """
        if weight is None:
            self.hold(vector)
        elif weight != 0.0:
            self.fold(vector, weight)

    @abstractmethod
    def fold(self, vector: CodedVector, weight: float) -> None:
        """Add a vector whose weight is known; the decoding's scale is applied at the end."""

    @abstractmethod
    def hold(self, vector: CodedVector) -> None:
        """Keep a vector whose weight is known only when the round closes."""

    @abstractmethod
    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sum of all task gradients, shape (n_parameters,), and of the losses.

        The array is the estimate's own: the caller may scale it in place, and it is valid until
        the next `finish`.
        """

    def absorb(self) -> None:  # noqa: B027
        """Go on from the round that was finished, whose estimate was used."""

    def reject(self) -> None:  # noqa: B027
        """Go on as if nothing had arrived in the round that was finished."""

    def late(self, vector: CodedVector, age: int = 1) -> None:  # noqa: B027
        """Take note of a vector for the round `age` rounds ago; most estimates have no use."""

    def join(self, vector: CodedVector, age: int) -> None:  # noqa: B027
        """Take a vector for the round `age` rounds ago into the memory as if it had come in this.

        Before `finish`, where estimates sum their memory. The decoder knows nothing of it, and the
        estimate of this round's loss leaves its loss out.
        """

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold between two rounds, by names; the estimate's own."""
        return {}

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:  # noqa: B027
        """Go on from what `state` returned.

        Raises
        ------
        DataError: it is not the state of such an estimate.
        """
