"""What is exported, and what a format does with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, ClassVar, Protocol

import numpy as np

from erasurehead.arrays import Array, FloatArray
from erasurehead.models.base import Model


@dataclass(frozen=True, eq=False)
class Learnt:
    """A model that was learnt.

    Attributes
    ----------
    theta: its parameters, shape (n_parameters,).
    classes: what the classes are called, in the order of their labels, shape (classes,); None: the
        model predicts numbers, or nobody named them.
    column_names: what its columns are called; empty: they have no names.
    """

    model: Model
    theta: FloatArray
    classes: Array | None = None
    column_names: tuple[str, ...] = ()

    @property
    def class_names(self) -> Array:
        """What the classes are called, or else their labels, in the order of the labels."""
        if self.classes is not None:
            return self.classes
        n_classes = getattr(self.model, "n_classes", 2)
        return np.array([-1.0, 1.0]) if self.model.target == "two classes" else np.arange(n_classes)


class Export(Protocol):
    """A format. Its factory raises UsageError where a library is missing."""

    name: ClassVar[str]
    file: ClassVar[str]
    """The name of the file in a run's directory, if the user names none."""

    def write(self, learnt: Learnt, file: BinaryIO) -> None:
        """Write the file.

        Raises
        ------
        UsageError: the format has nothing for such a model.
        """

    def is_ours(self, file: BinaryIO) -> bool:
        """Return whether a file is of this format, and so may be replaced by another."""
