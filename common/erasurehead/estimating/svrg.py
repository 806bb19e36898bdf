"""SVRG: changes since a snapshot that is renewed every so many rounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy.typing as npt

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoding
from erasurehead.errors import UsageError
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.memory import Memory
from erasurehead.estimating.saga import SagaEstimate


class SvrgEstimate(GradientEstimate):
    """g_hat = grad f(x~) + D(y(x) - y(x~)) with x~ renewed every `every` rounds.

    Johnson and Zhang (NIPS 2013), with coded gradients in place of samples; named as future work in
    arXiv 1901.09671. Workers compute nothing twice: y(x~) is remembered from the snapshot's round,
    which `erasurehead.stopping.snapshot.SnapshotStop` lets wait for everything. What is missing
    there nevertheless keeps its older reference, which leaves the estimate unbiased. Stale results
    belong to no snapshot, and are ignored.

    Parameters
    ----------
    code, n_parameters, ordered: as for `SagaEstimate`, whose formula this is.
    every: rounds from one snapshot to the next, at least 1.

    Raises
    ------
    UsageError: `every` is below 1.
    """

    unbiased: ClassVar[bool] = True

    memory: Memory

    def __init__(
        self, code: GradientCode, n_parameters: int, ordered: bool = False, *, every: int = 20
    ) -> None:
        if every < 1:
            raise UsageError(f"every={every} rounds between snapshots must be 1 or more")
        self._corrected = SagaEstimate(code, n_parameters, ordered)
        self.memory = self._corrected.memory
        self.snapshot_every = self._every = every

    @property
    def _is_snapshot(self) -> bool:
        return (self.memory.round - 1) % self._every == 0

    def begin(self) -> None:
        """Start a round with nothing in it."""
        self._corrected.in_parts = self.in_parts
        self._corrected.begin()

    def fold(self, vector: CodedVector, weight: float) -> None:
        """Add a vector whose weight is known."""
        self._corrected.fold(vector, weight)

    def hold(self, vector: CodedVector) -> None:
        """Keep a vector whose weight is known only when the round closes."""
        self._corrected.hold(vector)

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums of gradients and losses."""
        gradient, loss = self._corrected.finish(decoding)
        memory = self.memory
        if self._is_snapshot and len(memory.fresh) == memory.units.n_held:
            gradient[:] = memory.renewed
            loss = memory.renewed_loss
        return gradient, loss

    def absorb(self) -> None:
        """Remember what arrived if the round that was finished is a snapshot's."""
        if self._is_snapshot:
            self._corrected.absorb()
        else:
            self._corrected.reject()

    def reject(self) -> None:
        """Remember nothing of the round that was finished."""
        self._corrected.reject()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a checkpoint must hold; partly the estimate's own arrays."""
        return self._corrected.state()

    def load_state(self, state: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go on from what `state` returned; see `erasurehead.estimating.memory.Memory`."""
        self._corrected.load_state(state)
