"""Stop at the r-th arrival: ErasureHead's rule."""

from __future__ import annotations

import math

from erasurehead.coding.base import GradientCode
from erasurehead.errors import UsageError
from erasurehead.stopping.base import RoundView, StopRule
from erasurehead.stopping.exact import everyone, exact_reason


class FractionStop(StopRule):
    """Closes at the r-th arrival, or when the gradient is exact if that comes first.

    arXiv 1901.09671, Algorithm 1 (with r = delta k).

    Parameters
    ----------
    code: for k.
    r: arrivals, 1 to k; to k times the parts of a slot, where parts count.
    delta: share of these, in (0, 1]; r = ceil(delta k). Give one of the two.
    least: with delta, r is at least so much (all, if there are fewer).

    Raises
    ------
    UsageError: none or both are given, or r is out of range; or `least` comes with r.
    """

    def __init__(
        self,
        code: GradientCode,
        *,
        r: int | None = None,
        delta: float | None = None,
        least: int | None = None,
    ) -> None:
        k = code.n_arrivals
        if (r is None) == (delta is None):
            raise UsageError(
                "stop rule 'fraction' needs either r (arrivals) or delta (their share of the"
                " workers); write for example fraction:r=11"
            )
        if least is not None and least < 1:
            raise UsageError(f"least={least} arrivals are too few; it must be at least 1")
        if delta is not None:
            if not 0 < delta <= 1:
                raise UsageError(
                    f"delta={delta:g} is not a share of the {everyone(code)}; it must be above 0"
                    " and at most 1"
                )
            # 0.1 * 30 is above 3 in floating point, and means 3.
            r = min(max(least or 1, math.ceil(delta * k - 1e-9)), k)
        elif least is not None:
            raise UsageError(
                f"stop rule 'fraction' has both r={r} and least={least}; least bounds what delta"
                " makes of the workers, so leave it out"
            )
        assert r is not None
        if not 1 <= r <= k:
            raise UsageError(
                f"r={r} arrivals cannot close a round of {everyone(code)}; r must be 1 to {k}"
            )
        self.arrivals = self._r = r
        self._reason = f"{r} of {k} arrived"
        self._exact_reason = exact_reason(code)

    def judge(self, round_: RoundView) -> str | None:
        """Return why the round may close now, or None."""
        if round_.decoder.exact:
            return self._exact_reason
        return self._reason if round_.n_arrived >= self._r else None
