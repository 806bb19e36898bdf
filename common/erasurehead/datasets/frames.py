"""Tables as data frames, and what may be wrong with their columns."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.content import content_of
from erasurehead.datasets.encodings.table import TableEncoding
from erasurehead.datasets.sources import pandas, read_plain
from erasurehead.errors import DataError, UsageError


def read_table(path: Path, known: TableEncoding | None = None) -> Any:
    """Return the data frame of a CSV or Parquet file, with columns named by text.

    Columns of text in `known` are read as text, and what is missing is what it says.

    Raises
    ------
    UsageError: pandas or pyarrow is missing.
    DataError: the file is missing, or is no such table.
    """
    pd = pandas()
    plain = io.BytesIO(read_plain(path))
    try:
        if content_of(path) == "parquet" or ".parquet" in path.suffixes:
            frame = pd.read_parquet(plain)
        else:
            frame = pd.read_csv(plain, **_known_form(known))
    except ImportError:
        raise UsageError("reading Parquet needs pyarrow: pip install 'erasurehead[data]'") from None
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} cannot be read as a table: {reason}") from None
    frame.columns = frame.columns.map(str)  # Parquet also has columns named by numbers
    return frame


def _known_form(known: TableEncoding | None) -> dict[str, Any]:
    if known is None:
        return {}
    types = {c.name: c.type for c in known.categorical} | {known.target: known.target_type}
    return {
        "sep": known.form.separator,
        "decimal": known.form.decimal,
        "keep_default_na": False,
        "na_values": list(known.form.missing),
        "dtype": {name: "str" for name, value_type in types.items() if value_type == "text"},
    }


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
