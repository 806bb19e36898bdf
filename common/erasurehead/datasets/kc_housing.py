"""House sales in King County, encoded as in arXiv 1901.09671, section 5."""

from __future__ import annotations

import io
from functools import cached_property
from typing import Any

import numpy as np

from erasurehead.datasets.encoding import Encoded, codes_of, one_hot_rows
from erasurehead.datasets.preset import Preset, expect_table, fetch_openml, frame_sha256
from erasurehead.datasets.sources import Pinned, needed, pandas, read_pinned

FILE = Pinned(
    "kc_house_data.csv",
    "d0875baa0251b21d4bdc9d2ae940a4fe0bb6009824f23dd0e2a5b2bf04557b7e",
    2_515_206,
    21_614,
    21,
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

    Numbers; the label is the price in millions.
    """

    name = "kc-housing"
    encoding = "kc-housing-1"
    downloads = True

    def source_sha256(self) -> str:
        """Return the pinned file's digest, or the downloaded table's."""
        if self.download:
            return frame_sha256(self._frame)
        read_pinned(needed(self.source, FILE, self.name), FILE)
        return FILE.sha256

    def encode(self) -> Encoded:
        """Return the rows."""
        frame = self._frame
        expect_table(frame, self.name, N_ROWS, (*COLUMNS, TARGET))
        columns = [codes_of(frame[c].to_numpy().astype(np.float64)) for c in COLUMNS]
        labels = frame[TARGET].to_numpy().astype(np.float64) / PRICE_UNIT
        return one_hot_rows(columns, [], labels, "numbers")

    @cached_property
    def _frame(self) -> Any:
        if self.download:
            return fetch_openml(name=OPENML_NAME, version=1)
        plain = read_pinned(needed(self.source, FILE, self.name), FILE)
        return pandas().read_csv(io.BytesIO(plain))
