"""Tables as data frames, and what may be wrong with their columns."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.sources import pandas, read_plain
from erasurehead.errors import DataError, UsageError


def read_table(path: Path) -> Any:
    """Return the data frame of a CSV or Parquet file, with columns named by text.

    Raises
    ------
    UsageError: pandas or pyarrow is missing.
    DataError: the file is missing, or is no such table.
    """
    pd = pandas()
    plain = io.BytesIO(read_plain(path))
    try:
        frame = pd.read_parquet(plain) if ".parquet" in path.suffixes else pd.read_csv(plain)
    except ImportError:
        raise UsageError("reading Parquet needs pyarrow: pip install 'erasurehead[data]'") from None
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} cannot be read as a table: {reason}") from None
    frame.columns = frame.columns.map(str)  # Parquet also has columns named by numbers
    return frame


def complete(frame: Any, name: str, path: Path) -> Any:
    """Return a column in which no value is missing, else raise DataError."""
    missing = frame[name].isna().to_numpy()
    if missing.any():
        raise DataError(
            f"column '{name}' of {path} has {int(missing.sum())} missing values, the first in row"
            f" {int(missing.argmax()) + 1}; fill them in or leave the rows out"
        )
    return frame[name]


def numbers(column: Any, path: Path, what_to_do: str) -> npt.NDArray[np.float64]:
    """Return a column of finite numbers, else raise DataError."""
    try:
        found = column.to_numpy().astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(
            f"column '{column.name}' of {path} does not hold numbers; {what_to_do}"
        ) from None
    if not np.isfinite(found).all():
        row = int((~np.isfinite(found)).argmax()) + 1
        raise DataError(f"column '{column.name}' of {path} is infinite in row {row}")
    return np.asarray(found, dtype=np.float64)
