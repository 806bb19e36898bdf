"""How arrays of ``.npy`` files became rows."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from erasurehead.datasets.encodings.table import STRICT
from erasurehead.rows import Target


@dataclass(frozen=True)
class NpyEncoding:
    """Everything that preparing arrays decided.

    Attributes
    ----------
    shape: of the array that a row was; its entries are the columns, in C order.
    divisor: of all entries.
    labels: what they are.
    classes: the labels that are classes, in the order of the store's labels; empty for numbers.
    """

    __pydantic_config__: ClassVar = STRICT
    shape: tuple[int, ...]
    divisor: float
    labels: Target
    classes: tuple[str, ...]
    kind: Literal["npy"] = "npy"

    @property
    def n_columns(self) -> int:
        """How many columns the matrix has."""
        return math.prod(self.shape)

    @property
    def meaning(self) -> str:
        """A digest of what the matrix' columns and the labels stand for (`Manifest.meaning`)."""
        told = [self.shape, self.divisor, self.labels, self.classes]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()
