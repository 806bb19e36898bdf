"""What is wrong with what a worker says it has computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.wire.messages import Refusal, Result
from erasurehead_master.machine.norms import NormLimit
from erasurehead_master.run.descent import DIVERGED_ABOVE


def is_support(support: npt.NDArray[Any], columns: int) -> bool:
    """Return whether these are some of `columns` columns, ascending, each once."""
    return (
        support.size > 0
        and support[0] >= 0
        and support[-1] < columns
        # Compared, not subtracted: a difference of narrow integers may wrap round.
        and bool((support[1:] > support[:-1]).all())
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a result."""

    reason: Refusal
    what: str


def fault_of(result: Result, n_vectors: int, width: int, norms: NormLimit | None) -> Fault | None:
    """Return what is wrong with a result, None for nothing; `norms` remembers good ones.

    Parameters
    ----------
    n_vectors, width: what its slot's results have to have.
    """
    if not has_shape(result, n_vectors, width):
        return Fault("wrong-shape", f"a result of shape {result.values.shape}")
    if not is_finite(result):
        return Fault("non-finite", "a result that is not finite")
    if norms is not None and not norms.admit(norm(result.values)):
        return Fault("over-norm", f"a result over {norms.multiple:g} times as large as usual")
    return None


def has_shape(result: Result, n_vectors: int, width: int) -> bool:
    """Return whether there are `n_vectors` vectors of `width` values, with a loss each."""
    return result.values.shape == (n_vectors, width) and len(result.loss) == n_vectors


def is_finite(result: Result) -> bool:
    """Return whether no value is NaN or infinite, and no loss on its way there.

    Usually one pass over the values, without a temporary.
    """
    values = result.values
    finite = math.isfinite(values.sum()) or bool(np.isfinite(values).all())
    return finite and all(abs(loss) < DIVERGED_ABOVE for loss in result.loss)


def norm(values: npt.NDArray[Any]) -> float:
    """Return the Euclidean norm; infinite where that is the best a float can say."""
    with np.errstate(over="ignore"):
        return float(np.linalg.norm(values))
