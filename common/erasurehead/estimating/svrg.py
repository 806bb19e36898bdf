"""SVRG: cached decoding against a snapshot that is renewed every so many rounds."""

from __future__ import annotations

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import Decoding
from erasurehead.errors import UsageError
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.estimating.saga import SagaEstimate


class SvrgEstimate(SagaEstimate):
    """g_hat = grad f(x~) + D(y(x) - y(x~)) with x~ renewed every `every` rounds.

    Johnson and Zhang (NIPS 2013), with coded gradients in place of samples; named as future work in
    arXiv 1901.09671. Workers compute nothing twice: y(x~) is remembered from the snapshot's round,
    which `erasurehead.stopping.snapshot.SnapshotStop` lets wait for everything. What is missing
    there nevertheless keeps its older reference, which leaves the estimate unbiased.

    Parameters
    ----------
    code, n_columns, ordered: as for `SagaEstimate`.
    every: rounds from one snapshot to the next, at least 1.
    """

    def __init__(
        self, code: GradientCode, n_columns: int, ordered: bool = False, *, every: int = 20
    ) -> None:
        if every < 1:
            raise UsageError(f"every={every} rounds between snapshots must be 1 or more")
        super().__init__(code, n_columns, ordered)
        self.snapshot_every = self._every = every

    def finish(self, decoding: Decoding) -> tuple[FloatArray, float]:
        """Return the estimated sums; in a snapshot's round, remember what arrived."""
        if (self._round - 1) % self._every:
            loss = self._decode(decoding, remember=False)
            return self._gradient.sum, loss
        gradient, loss = super().finish(decoding)
        if len(self._fresh) == self._n_active:
            gradient[:] = self._total.sum
            loss = self._total_loss
        return gradient, loss

    def late(self, vector: CodedVector, age: int = 1) -> None:
        """Ignore stale results: they belong to no snapshot."""
