"""House sales in King County, encoded as in arXiv 1901.09671, section 5."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from erasurehead.datasets.encoding import Encoded, codes_of, one_hot_rows
from erasurehead.datasets.preset import Preset, fetch_openml, frame_sha256
from erasurehead.datasets.sources import Pinned, needed, pandas, read_pinned
from erasurehead.errors import DataError

FILE = Pinned(
    "kc_house_data.csv",
    "d0875baa0251b21d4bdc9d2ae940a4fe0bb6009824f23dd0e2a5b2bf04557b7e",
    2_515_206,
    "Kaggle, data set harlfoxem/housesalesprediction",
)
OPENML_NAME = "house_sales"
N_ROWS = 21_613
TARGET = "price"
COLUMNS = (
    "bedrooms",
    "bathrooms",
    "sqft_living",
    "sqft_lot",
    "floors",
    "waterfront",
    "view",
    "condition",
    "grade",
    "sqft_above",
    "sqft_basement",
    "yr_built",
    "yr_renovated",
    "zipcode",
    "lat",
    "long",
    "sqft_living15",
    "sqft_lot15",
)
PRICE_UNIT = 1e6


class KcHousing(Preset):
    """Columns `bedrooms` to `sqft_lot15` one-hot, and a constant: 27,654 columns, 19 ones a row.

    Least squares; the label is the price in millions.
    """

    name = "kc-housing"
    encoding = "kc-housing-1"

    def source_sha256(self) -> str:
        """Return the pinned file's digest, or the downloaded table's."""
        if self.download and self.source is None:
            return frame_sha256(self._frame())
        read_pinned(needed(self.source, FILE, self.name), FILE)
        return FILE.sha256

    def encode(self) -> Encoded:
        """Return the rows."""
        frame = self._frame()
        missing = [c for c in (*COLUMNS, TARGET) if c not in frame.columns]
        if missing or len(frame) != N_ROWS:
            raise DataError(
                f"the table for {self.name} has {len(frame)} rows and lacks"
                f" {', '.join(missing) or 'no column'}; expected {N_ROWS} rows with"
                f" {len(COLUMNS)} columns and the price"
            )
        columns = [codes_of(frame[c].to_numpy().astype(np.float64)) for c in COLUMNS]
        labels = frame[TARGET].to_numpy().astype(np.float64) / PRICE_UNIT
        return one_hot_rows(columns, [], labels, "least-squares")

    def _frame(self) -> Any:
        if self.source is None and self.download:
            return fetch_openml(name=OPENML_NAME, version=1)
        plain = read_pinned(needed(self.source, FILE, self.name), FILE)
        return pandas().read_csv(io.BytesIO(plain))
