"""What is wrong with what a worker says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Vector
from erasurehead.wire.messages import Refusal, Result
from erasurehead.wire.vectors.base import VectorFormat
from erasurehead_master.machine.norms import NormLimit

DIVERGED_ABOVE = 1e100
"""A loss or gradient this large is on its way to infinity; stopping here keeps the model finite."""


def is_support(support: npt.NDArray[Any], n_parameters: int) -> bool:
    """Return whether these are some of `n_parameters` parameters, ascending, each once."""
    return (
        support.size > 0
        and support[0] >= 0
        and support[-1] < n_parameters
        # Compared, not subtracted: a difference of narrow integers may wrap round.
        and bool((support[1:] > support[:-1]).all())
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a message of a member.

    Attributes
    ----------
    reason: the label it is counted under.
    what: what is wrong, in words.
    means: what it means for the sender. *refused*: nothing, the message may have been late;
        *strike*: it counts against the sender; *wrong-data*: the sender must go.
    """

    reason: Refusal
    what: str
    means: Literal["refused", "strike", "wrong-data"] = "strike"


def unpacked(
    result: Result, format: VectorFormat, n_vectors: int, width: int, norms: NormLimit | None
) -> list[Vector] | Fault:
    """Return the vectors of a result, or what is wrong with it.

    Parameters
    ----------
    n_vectors, width: what its slot's results have to have: so many vectors of `width` values.
    norms: remembers good results.
    """
    packed, losses = result.vectors, result.loss
    if len(packed) != n_vectors or len(losses) != n_vectors:
        return _misshapen(result)
    vectors = []
    for vector, loss in zip(packed, losses, strict=True):
        if vector.n != width:
            return _misshapen(result)
        why = format.misfit(vector)
        if why is not None:
            return Fault("wrong-format", f"a result that cannot be read: {why}")
        values = format.unpack(vector)
        if not (is_finite(values) and abs(loss) < DIVERGED_ABOVE):
            return Fault("non-finite", "a result that is not finite")
        vectors.append(values)
    if norms is not None and not norms.admit(norm(vectors)):
        return Fault("over-norm", f"a result over {norms.multiple:g} times as large as usual")
    return vectors


def _misshapen(result: Result) -> Fault:
    sizes = " and ".join(str(vector.n) for vector in result.vectors)
    return Fault("wrong-shape", f"a result of {sizes} values with {len(result.loss)} losses")


def is_finite(vector: Vector) -> bool:
    """Return whether no value is NaN or infinite.

    Usually one pass over the values, without a temporary.
    """
    return math.isfinite(vector.sum()) or bool(np.isfinite(vector).all())


def norm(vectors: Sequence[Vector]) -> float:
    """Return the Euclidean norm of all values; infinite where that is the best a float can say."""
    with np.errstate(over="ignore"):
        return math.hypot(*[float(np.linalg.norm(vector)) for vector in vectors])
