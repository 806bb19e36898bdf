"""What is wrong with what a worker says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from erasurehead.arrays import Vector
from erasurehead.blas import squared_norm
from erasurehead.wire.messages import Refusal, Result
from erasurehead.wire.vectors.base import VectorFormat
from erasurehead_master.machine.norms import NormLimit
from erasurehead_master.machine.sizes import Size

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


class Contents(Struct, frozen=True):
    """What a result says, and how large it is."""

    vectors: list[Vector]
    size: Size


def unpacked(
    result: Result, format: VectorFormat, n_vectors: int, width: int, norms: NormLimit | None
) -> Contents | Fault:
    """Return the contents of a result, or what is wrong with it.

    Parameters
    ----------
    n_vectors, width: what its slot's results have to have: so many vectors of `width` values.
    norms: remembers good results.
    """
    packed, losses = result.vectors, result.loss
    if len(packed) != n_vectors or len(losses) != n_vectors:
        return _misshapen(result)
    vectors = []
    for vector in packed:
        if vector.n != width:
            return _misshapen(result)
        why = format.misfit(vector)
        if why is not None:
            return Fault("wrong-format", f"a result that cannot be read: {why}")
        vectors.append(format.unpack(vector))
    largest, fine = 0.0, True
    for loss in losses:
        largest = max(largest, abs(loss))
        fine = fine and abs(loss) < DIVERGED_ABOVE  # NaN is not below anything
    size = Size(norm(vectors), largest)
    if not (fine and size.norm < DIVERGED_ABOVE):
        finite = math.isfinite(size.norm) and all(map(math.isfinite, losses))
        what = f"a result of norm {size.norm:.3g} and loss {size.loss:.3g}"
        return Fault("non-finite", what if finite else "a result that is not finite")
    if norms is not None and not norms.admit(size.norm):
        return Fault("over-norm", f"a result over {norms.multiple:g} times as large as usual")
    return Contents(vectors, size)


def _misshapen(result: Result) -> Fault:
    sizes = " and ".join(str(vector.n) for vector in result.vectors)
    return Fault("wrong-shape", f"a result of {sizes} values with {len(result.loss)} losses")


def norm(vectors: Sequence[Vector]) -> float:
    """Return the Euclidean norm of all values; NaN or infinite if one of them is.

    Usually one pass over the values, without a temporary.
    """
    squares = sum(map(squared_norm, vectors))
    if math.isfinite(squares):
        return math.sqrt(squares)
    with np.errstate(over="ignore", invalid="ignore"):
        # The squares of large numbers are beyond what a float can say, and more so in single ones.
        largest = float(max(np.abs(vector).max(initial=0.0) for vector in vectors))
        if not math.isfinite(largest):
            return math.inf if largest > 0 else math.nan
        scaled = [np.divide(vector, largest, dtype=np.float64) for vector in vectors]
        return largest * math.sqrt(sum(map(squared_norm, scaled)))
