"""The array types that all mathematics of the library shares."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Vector = npt.NDArray[np.floating[Any]]
"""One axis; float64, or float32 where the values came with no more digits."""
