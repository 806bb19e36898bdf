"""How labels are coded: two classes as -1 and +1, numbers as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import DataError
from erasurehead.rows import Target

Kind = Literal["two-classes", "numbers"]
"""What a user says that labels are."""

KindOrAuto = Literal["auto", "two-classes", "numbers"]
"""``auto``: two classes if there are two distinct values, else numbers."""

TARGETS: dict[Kind, Target] = {"two-classes": "two classes", "numbers": "numbers"}


@dataclass(frozen=True, eq=False)
class Coded:
    """Labels as a store holds them.

    Attributes
    ----------
    labels: shape (rows,).
    target: what they are.
    classes: what the classes are called, in the order of their labels; empty for numbers.
    """

    labels: FloatArray
    target: Target
    classes: tuple[str, ...] = ()

    @property
    def notes(self) -> dict[str, str]:
        """What a user of the model must know of the classes: label -> what it is called."""
        return dict(zip(("-1", "+1"), self.classes, strict=False))


def are_classes(kind: KindOrAuto, n_distinct: int) -> bool:
    """Return whether labels with so many distinct values are to be coded as classes."""
    return kind == "two-classes" or (kind == "auto" and n_distinct == 2)


def code_classes(codes: Array, n_classes: int, what: str, name_of: Callable[[int], str]) -> Coded:
    """Code the classes of a source.

    Parameters
    ----------
    codes: 0 to n_classes - 1, shape (rows,).
    what: the labels in words, for messages.
    name_of: the name of a class, by its code.

    Raises
    ------
    DataError: there are not two classes.
    """
    if n_classes != 2:
        raise DataError(
            f"{what} has {n_classes} distinct values; two classes need exactly two, or use"
            " labels=numbers"
        )
    names = tuple(name_of(code) for code in range(n_classes))
    return Coded(class_labels(codes, n_classes), "two classes", names)


def class_labels(codes: Array, n_classes: int) -> FloatArray:
    """Return the labels of classes from their codes, shape (rows,).

    Raises
    ------
    DataError: there are not two classes.
    """
    if n_classes != 2:
        raise DataError(f"{n_classes} classes cannot be coded; two can, as -1 and +1")
    return np.where(codes == 0, -1.0, 1.0)


def comparable_labels(labels: FloatArray, target: Target, path: str) -> FloatArray:
    """Return raw labels as a store would hold them; nan where there is nothing to compare with.

    Parameters
    ----------
    labels: as a file at `path` has them, shape (rows,).
    target: what the model takes them for.

    Raises
    ------
    DataError: more classes than the model tells apart.
    """
    if target != "two classes":
        return labels
    distinct = np.unique(labels)
    if len(distinct) > 2:
        raise DataError(
            f"{path} has {len(distinct)} distinct labels, but the model tells two classes apart"
        )
    if len(distinct) < 2:
        return np.full(len(labels), np.nan)
    return class_labels(labels == distinct[1], 2)
