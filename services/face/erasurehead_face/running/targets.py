"""Labels that a user hands in, as a store would hold them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.datasets.labels import class_labels, target_of
from erasurehead.errors import DataError, UsageError
from erasurehead.models import MODELS, default_model
from erasurehead.models.base import Model
from erasurehead.registry import Spec
from erasurehead.rows import Target
from erasurehead_face.running.arrays import labels_of
from erasurehead_face.running.real_numbers import OBJECTS, TEXTS, check_size, numbers_of


@dataclass(frozen=True, eq=False)
class Targets:
    """Labels as numbers, and what they stand for.

    Attributes
    ----------
    labels: shape (rows,).
    target: what they are.
    classes: what the user calls the classes, in the order of their labels; None: numbers.
    """

    labels: FloatArray
    target: Target
    classes: Array | None

    @classmethod
    def of(cls, y: Any, model: str | None, what: str = "y") -> Targets:
        """Return the labels that a user hands in; a named model says what they are.

        Raises
        ------
        UsageError: there are none.
        DataError: they are of a wrong shape, all the same class, too many classes for the model,
            or no numbers where the model needs numbers.
        """
        given = labels_of(y, what)
        if not len(given):
            raise DataError(f"{what} is empty; give one row at least")
        kinds = "text" if given.dtype.kind in f"b{TEXTS}{OBJECTS}" else "numbers"
        distinct, counts = np.unique(given, return_counts=True)
        wanted = None if model is None else _target_of_model(model)
        if wanted is None:
            whole = kinds == "numbers" and bool((given == np.floor(given)).all())
            wanted = target_of("auto", counts, text=kinds == "text", whole=whole)
        if wanted == "numbers":
            return cls(as_numbers(given, what), wanted, None)
        if len(distinct) < 2:
            raise DataError(
                f"{what} has one class, {distinct[0]}, in every row; classes need two at least"
            )
        if wanted == "two classes" and len(distinct) > 2:
            raise DataError(
                f"{what} has {len(distinct)} classes and the model {model} tells two apart; take"
                f" model='{default_model('classes')}', or leave model out"
            )
        tell_of_lone_classes(distinct, counts, what)
        codes = np.searchsorted(distinct, given)
        return cls(class_labels(codes, wanted), wanted, distinct)

    def alike(self, y: Any, what: str) -> FloatArray:
        """Return the labels of other rows in the same code, shape (rows,).

        Raises
        ------
        DataError: a label is none of the classes, or no number.
        """
        return coded(labels_of(y, what), self.target, self.classes, what)


def coded(given: Array, target: Target, classes: Array | None, what: str) -> FloatArray:
    """Return labels, shape (rows,), in the code of a target; see `Targets.alike`.

    Raises
    ------
    DataError: a label is none of the classes, or no number.
    """
    if classes is None:
        return as_numbers(given, what)
    if not len(given):
        return np.zeros(0)
    kinds = {a.dtype.kind in TEXTS for a in (classes, given) if a.dtype.kind != OBJECTS}
    try:
        if len(kinds) > 1:  # numpy would write the numbers out, and find 1 among the texts
            raise TypeError
        places = np.minimum(np.searchsorted(classes, given), len(classes) - 1)
    except TypeError:  # texts beside numbers
        raise DataError(
            f"{what} has labels such as {given.tolist()[0]!r:.40}, and the model tells"
            f" {', '.join(map(repr, classes.tolist()))} apart; give labels of that kind"
        ) from None
    strange = np.asarray(classes[places] != given)
    if strange.any():
        raise DataError(
            f"{what} has the class {given[strange][0]}, and the model tells"
            f" {', '.join(map(str, classes))} apart; leave such rows out"
        )
    return class_labels(places, target)


def decoded(labels: FloatArray, target: Target, classes: Array | None) -> Array:
    """Return what a user calls labels, shape (rows,): the names of classes, or the numbers."""
    if classes is None:
        return labels
    codes = labels > 0 if target == "two classes" else labels
    return np.asarray(classes[np.asarray(codes, dtype=np.int64)])


def predicted_labels(model: Model, outputs: FloatArray) -> FloatArray:
    """Return what a model predicts from its outputs, as labels, shape (rows,)."""
    if model.target == "two classes":
        return np.where(outputs > 0, 1.0, -1.0)
    if model.target == "classes":
        return np.asarray(np.argmax(outputs, axis=1), dtype=np.float64)
    predicted: FloatArray = model.predictions(outputs)["prediction"]
    return predicted


def tell_of_lone_classes(classes: Array, counts: Array, what: str) -> None:
    """Warn of a class among several that occurs once, as a slip of the pen or a number does.

    Parameters
    ----------
    counts: of the rows of each class, shape (classes,).
    what: the labels in words.
    """
    if len(classes) > 2 and counts.min() == 1:
        warnings.warn(
            f"{what} has the class {classes[counts.argmin()]} in one row only, and nothing else"
            " tells the model of it; leave the row out if it is a slip, or take a model for numbers"
            " if the labels are no classes",
            UserWarning,
            stacklevel=2,
        )


def as_numbers(given: Array, what: str) -> FloatArray:
    """Return labels as numbers, shape (rows,).

    Raises
    ------
    DataError: they are none.
    """
    numbers = numbers_of(given, what, "give numbers, or a model for classes")
    check_size(numbers, what)
    return numbers


def _target_of_model(model: str) -> Target | None:
    """Return what labels a model is for; None: it does not say so, or there is no such model."""
    try:
        factory = MODELS.factory(Spec.parse(model).name)
    except UsageError:
        return None  # the settings refuse it with the right sentence
    target: Target | None = getattr(factory, "target", None)
    return target
