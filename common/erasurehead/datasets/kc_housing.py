"""House sales in King County, encoded as in arXiv 1901.09671, section 5."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from erasurehead.datasets.encoding import Encoded, codes_of, one_hot_rows
from erasurehead.datasets.published_table import PublishedTable
from erasurehead.datasets.sources import Pinned

FILE = Pinned(
    "kc_house_data.csv",
    "d0875baa0251b21d4bdc9d2ae940a4fe0bb6009824f23dd0e2a5b2bf04557b7e",
    2_515_206,
    21_614,
    21,
    "Kaggle, data set harlfoxem/housesalesprediction",
)
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


class KcHousing(PublishedTable):
    """Columns `bedrooms` to `sqft_lot15` one-hot, and a constant: 27,654 columns, 19 ones a row.

    Numbers; the label is the price in millions.
    """

    name = "kc-housing"
    encoding = "kc-housing-1"
    file = FILE
    columns = COLUMNS
    target = TARGET
    openml: ClassVar = {"name": "house_sales", "version": 1}

    def encode(self) -> Encoded:
        """Return the rows."""
        frame = self.frame
        columns = [codes_of(frame[c].to_numpy().astype(np.float64)) for c in COLUMNS]
        labels = frame[TARGET].to_numpy().astype(np.float64) / PRICE_UNIT
        return one_hot_rows(columns, [], labels, "numbers")
