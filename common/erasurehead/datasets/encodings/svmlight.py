"""How a svmlight file was read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import ClassVar, Literal

from erasurehead.datasets.encodings.table import STRICT
from erasurehead.rows import Target


@dataclass(frozen=True)
class SvmlightEncoding:
    """Everything that preparing a svmlight file decided.

    Attributes
    ----------
    first_column: the number that the file gives its first column, 0 or 1.
    features: columns of the file; the matrix has a constant one after them.
    labels: what they are.
    classes: the labels of the file that are classes, in the order of the store's labels; empty for
        numbers.
    """

    __pydantic_config__: ClassVar = STRICT
    first_column: Literal[0, 1]
    features: int
    labels: Target
    classes: tuple[str, ...]
    kind: Literal["svmlight"] = "svmlight"

    @property
    def n_columns(self) -> int:
        """How many columns the matrix has."""
        return self.features + 1

    @property
    def meaning(self) -> str:
        """A digest of what the matrix' columns and the labels stand for (`Manifest.meaning`)."""
        told = [self.first_column, self.features, self.labels, self.classes]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()
