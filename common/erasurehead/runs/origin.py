"""What a model was made from, as its file keeps it: other rows need nothing but the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from erasurehead.datasets.encodings import Encoding, encoding_text, parse_encoding
from erasurehead.datasets.store import Store
from erasurehead.errors import DataError


@dataclass(frozen=True)
class Origin:
    """What training knew of its data.

    Attributes
    ----------
    labels: what they are (`erasurehead.rows.Target`).
    classes: what the classes are called, in the order of their labels; empty for numbers.
    encoding: how rows of the source's kind are encoded alike; None: nothing says it.
    column_names: what the data frame calls its columns that the rows were handed in as; empty: they
        have no names.
    """

    labels: str
    classes: tuple[str, ...] = ()
    encoding: Encoding | None = None
    column_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, store: Store, column_names: tuple[str, ...] = ()) -> Origin:
        """Return what a store knows, and what its columns are called.

        Raises
        ------
        DataError: the store is damaged.
        """
        return cls(store.manifest.target, store.manifest.classes, store.encoding, column_names)

    def arrays(self) -> dict[str, Any]:
        """Return what the model's file holds of it, by name; `read` is the way back."""
        text = "" if self.encoding is None else encoding_text(self.encoding)
        return {
            "labels": self.labels,
            "classes": np.array(self.classes, dtype=np.str_),
            # As bytes, of which NumPy needs one a character, not four.
            "encoding": np.bytes_(text.encode()),
            "column_names": np.bytes_(json.dumps(self.column_names).encode()),
        }

    @classmethod
    def read(cls, held: Mapping[str, Any], location: object) -> Origin | None:
        """Return what a model's file holds; None: it is of a version that kept nothing.

        Raises
        ------
        DataError: it is damaged; `location` names the file.
        """
        if "encoding" not in held:
            return None
        text = bytes(held["encoding"])
        return cls(
            str(held["labels"]),
            tuple(map(str, held["classes"])),
            parse_encoding(text, location) if text else None,
            _names(held.get("column_names", b"[]"), location),
        )


def _names(held: Any, location: object) -> tuple[str, ...]:
    try:
        names = json.loads(bytes(held))
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{location} is damaged: its 'column_names' are no list of texts")
    return tuple(names)
