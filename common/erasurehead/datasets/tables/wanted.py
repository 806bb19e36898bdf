"""What a user says that is to be made of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from erasurehead.datasets.labels import KindOrAuto


@dataclass(frozen=True)
class Wanted:
    """What is to be made of a table.

    Attributes
    ----------
    target: the column that is learnt; `kind` is what the user says that it is.
    categorical, numeric: the columns that are learnt from, if the user named them (`named`); else
        all others, as what they are.
    weight, offset: columns of that meaning, or empty.
    marks: texts that stand for a missing value.
    leave_out: leave rows with a missing value out; otherwise they are an error.
    """

    target: str
    kind: KindOrAuto
    categorical: Sequence[str]
    numeric: Sequence[str]
    weight: str
    offset: str
    marks: Sequence[str]
    leave_out: bool

    @property
    def named(self) -> bool:
        """Whether the user named the columns that are learnt from."""
        return bool(self.categorical or self.numeric)

    def used(self, names: Sequence[str]) -> list[str]:
        """Return which columns of a table are used."""
        extra = [c for c in (self.weight, self.offset) if c]
        features = [*self.categorical, *self.numeric]
        if not self.named:
            features = [name for name in names if name not in (self.target, *extra)]
        return [self.target, *extra, *features]
