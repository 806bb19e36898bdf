"""The column that is learnt: numbers or classes, which may show at the end only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.encodings.table import ValueType
from erasurehead.datasets.labels import (
    KindOrAuto,
    check_classes,
    class_labels,
    number_name,
    target_of,
)
from erasurehead.datasets.tables.categories import LARGEST_EXACT, in_order, kind_of
from erasurehead.datasets.tables.readers import (
    CategoryReader,
    IsTextError,
    NumberReader,
    Rows,
)
from erasurehead.datasets.tables.values import as_arrow
from erasurehead.rows import LARGEST_SQUARED, Target

MOST_CLASSES = 1 << 12
"""Numbers of more distinct values are no classes, whatever else they are."""


@dataclass(frozen=True)
class Labels:
    """What the column is.

    Attributes
    ----------
    target: what labels are.
    classes: what classes are called, in the order of their labels.
    type: how values are compared.
    of: from what was kept of values (`TargetReader.take`) to labels.
    """

    target: Target
    classes: tuple[str, ...]
    type: ValueType
    of: Callable[[Array], FloatArray]


class TargetReader:
    """Reads the target as numbers if it can, and as categories if it is text or said to be classes.

    Parameters
    ----------
    kind: what the user says that it is.
    text: it has shown to be text already.
    typed: texts are texts, also if all of them are numbers.
    """

    def __init__(
        self, name: str, path: Path, kind: KindOrAuto, decimal: str, *, text: bool, typed: bool
    ) -> None:
        self.name = name
        self._what = f"target '{name}' of {path}"
        self._kind, self._decimal, self._typed = kind, decimal, typed
        self._reader: CategoryReader | NumberReader
        if text or kind in ("classes", "two-classes"):
            self._reader = CategoryReader(name, decimal, typed=typed, sure=True)
        else:
            advice = "labels must be numbers, or classes (labels=classes)"
            self._reader = NumberReader(
                name, decimal, sure=kind == "numbers", advice=advice, limit=LARGEST_SQUARED
            )
        self.dtype = self._reader.dtype
        self._counts: dict[float, int] | None = {}

    def take(self, array: Any, rows: Rows, path: Path) -> Array:
        """Return what is kept of values; see `Reader`."""
        if isinstance(self._reader, NumberReader) and str(array.type) == "bool":
            raise IsTextError(self.name)
        found: Array = self._reader.take(array, rows, path)
        if isinstance(self._reader, NumberReader):
            if self._kind == "auto" and self._reader.largest >= LARGEST_EXACT:
                raise IsTextError(self.name)  # whole numbers may be ids: compared as they are
            self._count(found)
        return found

    def _count(self, found: FloatArray) -> None:
        if self._counts is None:
            return
        pair = as_arrow(found).value_counts()
        for value, count in zip(*(part.to_pylist() for part in pair.flatten()), strict=True):
            value += 0.0  # so that -0 is 0
            self._counts[value] = self._counts.get(value, 0) + count
            if len(self._counts) > MOST_CLASSES:
                self._counts = None
                return

    def finish(self, assumed: list[str]) -> Labels:
        """Return what the column is, and say in `assumed` what was taken for granted.

        Raises
        ------
        DataError: it is not what the user says, or classes that cannot be learnt.
        """
        if isinstance(self._reader, NumberReader):
            return self._of_numbers(assumed)
        return self._of_categories(self._reader)

    def _of_numbers(self, assumed: list[str]) -> Labels:
        if self._counts is None:
            return _NUMBERS
        known = np.array(sorted(self._counts))
        counts = [self._counts[float(value)] for value in known]
        whole = bool(np.all(known == np.floor(known)))
        target = target_of(self._kind, counts, text=False, whole=whole)
        if target == "numbers":
            return _NUMBERS
        if target == "classes":
            assumed.append(
                f"{self._what} has {len(known)} distinct whole numbers, which are taken for"
                " classes; labels=numbers takes them for a quantity"
            )
        names = tuple(number_name(value) for value in known)
        check_classes(counts, names, target, self._what)
        return Labels(
            target,
            names,
            "integer" if whole else "number",
            lambda kept: class_labels(np.searchsorted(known, kept), target),
        )

    def _of_categories(self, reader: CategoryReader) -> Labels:
        values = reader.distinct.values
        kind = kind_of(values, self._decimal, typed=self._typed)
        ordered, places = in_order(values, kind, self._decimal)
        counts = np.bincount(places, reader.distinct.counts, len(ordered)).astype(np.int64)
        text = kind in ("text", "boolean")
        target = target_of(self._kind, counts, text=text, whole=kind == "integer")
        if target == "numbers":
            numbers = np.array([float(value) for value in ordered])[places]
            return Labels("numbers", (), "number", lambda kept: numbers[kept])
        if self._kind == "auto":
            reader.refuse_hidden("say labels=classes if each value is a class")
        names = tuple(number_name(v) if isinstance(v, float) else str(v) for v in ordered)
        check_classes(counts, names, target, self._what)
        labels = class_labels(places, target)
        return Labels(target, names, kind, lambda kept: labels[kept])


_NUMBERS = Labels("numbers", (), "number", lambda kept: kept)
