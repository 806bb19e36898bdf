"""Values of a column as Arrow arrays: what is missing, what is a number, what a text hides."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.sources import pyarrow

NEARLY_ALL = 0.9
"""A column of which so large a share are numbers is no column of categories."""

INTEGER = re.compile(r"-?[1-9][0-9]*|0")
WITH_SIGNS = re.compile(r"[+-]?[$€£]? ?[+-]?[0-9]{1,3}(?:[,.' ][0-9]{3})*(?:[.,][0-9]+)? ?[%€$£]?")
DATE = re.compile(
    r"(?:[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,4}[/.][0-9]{1,2}[/.][0-9]{1,4})"
    r"(?:[T ][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?)?(?: ?Z| ?[+-][0-9]{2}:?[0-9]{2})?"
)

INT64 = range(-(2**63), 2**63)


def unreadable(kind: Any) -> str | None:
    """Return what an Arrow type is called that is neither text nor number; None for others."""
    types = pyarrow("types")
    if types.is_temporal(kind):
        return "dates or times"
    if types.is_nested(kind):
        return "lists or structures"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "bytes"
    return None


def settled(array: Any) -> Any:
    """Return an array without dictionary, and with decimals as the numbers that they are.

    A decimal without a fraction is a whole number, which may be an id; others become float64.
    """
    pa, types = pyarrow(), pyarrow("types")
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if types.is_decimal(array.type):
        if array.type.scale <= 0:
            try:
                return array.cast(pa.int64())
            except pa.ArrowInvalid:
                return array.cast(pa.string())  # beyond 64 bits, as the text that it is
        return array.cast(pa.float64())
    if types.is_float16(array.type) or types.is_float32(array.type):
        return array.cast(pa.float64())
    if types.is_uint64(array.type):
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            return array.cast(pa.string())
    if types.is_integer(array.type):
        return array.cast(pa.int64())
    if types.is_large_string(array.type) or types.is_string_view(array.type):
        return array.cast(pa.string())
    return array


def as_numpy(array: Any) -> Array:
    """Return the values of an Arrow array of numbers, none of them missing, without a copy.

    `to_numpy` of pyarrow imports pandas, which takes as long as 100,000 rows.
    """
    return np.from_dlpack(array)


def as_arrow(found: FloatArray) -> Any:
    """Return numbers as an Arrow array, without a copy; `pyarrow.array` imports pandas as well."""
    pa = pyarrow()
    return pa.Array.from_buffers(pa.float64(), len(found), [None, pa.py_buffer(found)])


def is_text(array: Any) -> bool:
    """Tell whether an array holds texts."""
    return bool(pyarrow("types").is_string(array.type))


def is_float(array: Any) -> bool:
    """Tell whether an array holds numbers of double precision."""
    return bool(pyarrow("types").is_float64(array.type))


def missing(array: Any, marks: Sequence[str]) -> npt.NDArray[np.bool_] | None:
    """Return which values are missing, shape (rows,); None: none is.

    `marks` are the texts that stand for a missing value. NaN is one as well.
    """
    pa, compute = pyarrow(), pyarrow("compute")
    if is_float(array) and not array.null_count:
        found = as_numpy(array)
        # The least is NaN if any is, which is found in a fifth of the time.
        return np.isnan(found) if len(found) and np.isnan(found.min()) else None
    mask = compute.is_null(array, nan_is_null=True)
    if marks and is_text(array):
        mask = compute.or_(mask, compute.is_in(array, pa.array(marks, pa.string())))
    if not compute.any(mask).as_py():
        return None
    return np.asarray(as_numpy(mask.cast(pa.uint8())).view(np.bool_))


def numbers(array: Any, decimal: str) -> FloatArray | None:
    """Return the values as numbers, shape (rows,); None if some are none.

    Parameters
    ----------
    array: without missing values.
    decimal: the decimal mark of texts.
    """
    pa, compute = pyarrow(), pyarrow("compute")
    if is_float(array):
        return np.asarray(as_numpy(array), dtype=np.float64)
    try:
        if is_text(array):
            if decimal != ".":
                array = compute.replace_substring(array, decimal, ".")
            try:
                found = array.cast(pa.float64())
            except pa.ArrowInvalid:
                found = compute.utf8_trim_whitespace(array).cast(pa.float64())
        else:
            found = array.cast(pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return np.asarray(as_numpy(found), dtype=np.float64)


def first_that_is_no_number(array: Any, decimal: str) -> int:
    """Return the place of the first value that is no number, in an array that has one."""
    lo, hi = 0, len(array)
    while hi - lo > 1:
        middle = (lo + hi) // 2
        if numbers(array.slice(lo, middle - lo), decimal) is None:
            hi = middle
        else:
            lo = middle
    return lo


def is_number(text: str, decimal: str = ".") -> bool:
    """Tell whether a text is a finite number."""
    try:
        return "_" not in text and math.isfinite(float(text.replace(decimal, ".")))
    except ValueError:
        return False


def is_integer(text: str) -> bool:
    """Tell whether a text is a whole number of 64 bits as one would write it: no zeros before."""
    return INTEGER.fullmatch(text) is not None and int(text) in INT64


def hidden(
    values: Sequence[str], counts: npt.NDArray[np.int64], decimal: str
) -> tuple[str, int] | None:
    """Return what a column of texts really holds, and the place of the value that shows it.

    Numbers of which a few are none (the first of these), numbers with signs or marks, or dates (the
    first). None: it holds categories, as far as one can see.

    Parameters
    ----------
    values: distinct, in the order in which they were met.
    counts: how often each occurs.
    """
    total = counts.sum()

    def share(of: npt.NDArray[np.bool_]) -> float:
        return float(counts[of].sum() / total) if total else 0.0

    plain = np.array([is_number(value, decimal) for value in values], dtype=np.bool_)
    if share(plain) >= NEARLY_ALL and not plain.all():
        return "numbers", int((~plain).argmax())
    signs = plain | np.array([WITH_SIGNS.fullmatch(v) is not None for v in values], np.bool_)
    if share(signs) >= NEARLY_ALL and not plain.all():
        return "numbers", int((~plain).argmax())
    dates = np.array([DATE.fullmatch(v) is not None for v in values], np.bool_)
    if share(dates) >= NEARLY_ALL:
        return "dates", int(dates.argmax())
    return None
