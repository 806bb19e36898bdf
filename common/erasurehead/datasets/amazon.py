"""Amazon Employee Access Challenge, encoded as in arXiv 1901.09671, section 5."""

from __future__ import annotations

from itertools import combinations
from typing import ClassVar

import numpy as np

from erasurehead.datasets.encoding import Encoded, codes_of, one_hot_rows, pair_codes
from erasurehead.datasets.published_table import PublishedTable
from erasurehead.datasets.sources import Pinned

FILE = Pinned(
    "train.csv of the Amazon Employee Access Challenge",
    "c50b119438fb8c8e84b2ddb9c0a28c76cb01afa3dc78b920cfea36eb506843a7",
    2_037_893,
    32_770,
    10,
    "Kaggle, competition amazon-employee-access-challenge",
)
TARGET = "ACTION"
COLUMNS = (
    "RESOURCE",
    "MGR_ID",
    "ROLE_ROLLUP_1",
    "ROLE_ROLLUP_2",
    "ROLE_DEPTNAME",
    "ROLE_TITLE",
    "ROLE_FAMILY_DESC",
    "ROLE_FAMILY",
    "ROLE_CODE",
)
LEFT_OUT = {(5, 7), (2, 3)}
"""Pairs of columns that the paper's encoding does without."""


class Amazon(PublishedTable):
    """Nine columns and 34 of their pairs one-hot, and a constant: 241,915 columns, 44 ones a row.

    Two classes; label 2 ACTION - 1.
    """

    name = "amazon"
    encoding = "amazon-1"
    file = FILE
    columns = COLUMNS
    target = TARGET
    openml: ClassVar = {"data_id": 4135}
    openml_names: ClassVar = {"target": TARGET}

    def encode(self) -> Encoded:
        """Return the rows."""
        frame = self.frame
        single = [codes_of(frame[c].to_numpy().astype(np.int64)) for c in COLUMNS]
        pairs = [
            pair_codes(single[i], single[j])
            for i, j in combinations(range(len(COLUMNS)), 2)
            if (i, j) not in LEFT_OUT
        ]
        labels = 2.0 * frame[TARGET].to_numpy().astype(np.float64) - 1.0
        return one_hot_rows([*single, *pairs], [], labels, "two classes")
