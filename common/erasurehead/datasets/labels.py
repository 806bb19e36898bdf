"""How labels are coded: two classes as -1 and +1, more as 0, 1, 2, ..., numbers as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.errors import DataError
from erasurehead.rows import Target
from erasurehead.words import counted

Kind = Literal["two-classes", "numbers"]
"""What a user says that labels are, where they can be made either way."""

KindOrAuto = Literal["auto", "two-classes", "classes", "numbers"]
"""What a user says that the labels of a file are; ``auto``: as `target_of` says."""

TARGETS: dict[str, Target] = {
    "two-classes": "two classes",
    "classes": "classes",
    "numbers": "numbers",
}

FEW = 10
"""So many distinct whole numbers, at most, are taken for classes."""


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


def target_of(
    kind: KindOrAuto, counts: Sequence[int] | Array, *, text: bool, whole: bool
) -> Target:
    """Return what labels are.

    Two distinct values are two classes, further texts are classes, and so are 3 to `FEW` whole
    numbers that occur twice each at least; all else are numbers. One value in all rows counts as
    classes, which `check_classes` refuses: there is nothing to learn. What the user says comes
    first.

    Parameters
    ----------
    counts: how often each distinct value occurs, shape (values,).
    text: the values are no numbers.
    whole: they are whole numbers.
    """
    if kind != "auto":
        return TARGETS[kind]
    if len(counts) == 2:
        return "two classes"
    few_whole = whole and 2 < len(counts) <= FEW and min(counts) > 1
    return "classes" if text or few_whole or len(counts) == 1 else "numbers"


def check_classes(
    counts: Sequence[int] | Array, names: Sequence[str], target: Target, what: str
) -> None:
    """Refuse classes that cannot be learnt.

    Parameters
    ----------
    counts: how often each class occurs, shape (classes,).
    names: what they are called.
    target: two classes, or classes.
    what: the labels in words, for messages.

    Raises
    ------
    DataError: there are other than two classes where two are wanted, fewer than two, or one of
        several that occurs once only and so can be learnt or tested, but not both.
    """
    if target == "two classes" and len(names) != 2:
        raise DataError(
            f"{what} has {counted(len(names), 'distinct value')}; two classes need exactly two, or"
            " use labels=classes or labels=numbers"
        )
    if len(names) < 2:
        raise DataError(
            f"{what} has the same value in every row, {names[0]}, so there is nothing to learn;"
            " name another target, or say labels=numbers if it is a quantity all the same"
        )
    if len(names) > 2 and min(counts) < 2:
        once = names[int(np.argmin(counts))]
        raise DataError(
            f"{what} has the class {once} in one row only; leave such rows out, or use"
            " labels=numbers if the labels are no classes"
        )


def code_classes(
    codes: Array, counts: Sequence[int] | Array, names: Sequence[str], target: Target, what: str
) -> Coded:
    """Code the classes of a source; as `check_classes`, with the code of each row, shape (rows,).

    Raises
    ------
    DataError: as `check_classes`.
    """
    check_classes(counts, names, target, what)
    return Coded(class_labels(codes, target), target, tuple(names))


def class_labels(codes: Array, target: Target) -> FloatArray:
    """Return the labels of classes from their codes, shape (rows,)."""
    if target == "two classes":
        return np.where(codes == 0, -1.0, 1.0)
    return np.asarray(codes, dtype=np.float64)


def number_name(value: float) -> str:
    """Return the shortest text that is this number and no other: 3, 0.5, 1e+300."""
    return str(int(value)) if value == int(value) and abs(value) < 2**63 else repr(float(value))


def labels_alike(
    labels: FloatArray, target: Target, classes: Sequence[str], path: object
) -> FloatArray:
    """Return the raw labels of a file as those of a store with these classes; nan stays nan.

    A file must have labels, also where nobody knows them: if all rows have the same one, and it is
    no class (0, as a rule), there are none.

    Parameters
    ----------
    labels: as the file at `path` has them, shape (rows,).
    target: what the store's labels are.
    classes: what its classes are called: the numbers of its own source.

    Raises
    ------
    DataError: a label is none of the classes.
    """
    if target == "numbers":
        return labels
    known = np.array([float(name) for name in classes])
    order = np.argsort(known)
    place = np.minimum(np.searchsorted(known[order], labels), len(known) - 1)
    codes = order[place]
    strangers = (known[codes] != labels) & ~np.isnan(labels)
    if strangers.all() and len(np.unique(labels)) == 1:
        return np.full(len(labels), np.nan)
    if strangers.any():
        row = int(strangers.argmax())
        raise DataError(
            f"row {row + 1} of {path} has the label {number_name(labels[row])}, but the model tells"
            f" {' from '.join(classes)}; leave such rows out"
        )
    return np.where(np.isnan(labels), np.nan, class_labels(codes, target))


def comparable_labels(labels: FloatArray, target: Target, path: str) -> FloatArray:
    """Return raw labels as a store would hold them; nan where there is nothing to compare with.

    This is for models that do not say what their classes were called.

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
    return class_labels(labels == distinct[1], target)
