"""What a preset is: a known way from a source to encoded rows."""

from __future__ import annotations

import hashlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from erasurehead.datasets.encoding import Encoded, EncodedBlocks
from erasurehead.datasets.manifest import Provenance
from erasurehead.datasets.sources import sklearn_datasets
from erasurehead.errors import DataError, UsageError, reason_of


class Preset(ABC):
    """One data set in one encoding; keyword-only parameters of subclasses are its options.

    Parameters
    ----------
    source: the file given with --from, if any.
    download: whether it may be fetched.

    Attributes
    ----------
    name: as in `erasurehead prepare NAME`.
    encoding: changes whenever the same source would give other rows.
    older: encodings of earlier versions that give the same rows where nothing was guessed.
    reads_file: whether --from means anything to it.
    downloads: whether --download does.
    notes: filled by `encode`; what the store keeps of what encoding found out.
    scratch: a folder on the disk that has the room for what encoding cannot keep in memory.
    progress: is told how many rows have been read, where there may be many.
    assumed: filled by `encode`; sentences on what was taken for granted, and how to say otherwise.

    Raises
    ------
    UsageError: --from, --download or an option means nothing here, or does not fit.
    """

    name: ClassVar[str]
    encoding: ClassVar[str]
    older: ClassVar[frozenset[str]] = frozenset()
    reads_file: ClassVar[bool] = True
    downloads: ClassVar[bool] = False

    def __init__(self, source: Path | None, download: bool) -> None:
        if source is not None and not self.reads_file:
            raise UsageError(f"{self.name} is made from its options alone; leave out --from")
        if download and not self.downloads:
            raise UsageError(f"{self.name} cannot be downloaded; leave out --download")
        if download and source is not None:
            raise UsageError("--from and --download exclude each other; give one of them")
        self.source = source
        self.download = download
        self.notes: dict[str, str] = {}
        self.assumed: list[str] = []
        self.scratch = Path(tempfile.gettempdir())
        self.progress: Callable[[int], None] = lambda rows: None

    @abstractmethod
    def source_sha256(self) -> str:
        """Return a digest of the source's content; reads the source, but encodes nothing."""

    def add_sources(self, paths: Sequence[Path]) -> None:
        """Take further files given with --from.

        Raises
        ------
        UsageError: the data set is made from one.
        """
        raise UsageError(f"{self.name} is made from one file; give --from once")

    @abstractmethod
    def encode(self) -> Encoded | EncodedBlocks:
        """Return the rows."""

    def options(self) -> dict[str, str]:
        """Return the options that the rows depend on, as text."""
        return {}

    def provenance(self) -> Provenance:
        """Return where the rows come from; equal for equal rows."""
        return Provenance(
            source=self.source.name if self.source else self.name,
            source_sha256=self.source_sha256(),
            encoding=self.encoding,
            options=self.options(),
            notes=self.notes,
        )


def fetch_openml(**query: Any) -> Any:
    """Fetch a table from OpenML through scikit-learn.

    Raises
    ------
    DataError: there is no network, or the server does not have it.
    """
    module = sklearn_datasets()
    try:
        return module.fetch_openml(as_frame=True, parser="auto", **query).frame
    except Exception as error:  # network, HTTP, parser and checksum errors have no common base
        raise DataError(
            f"downloading {query} from OpenML failed ({type(error).__name__}:"
            f" {reason_of(error)}); get the file yourself and name it with --from"
        ) from None


def frame_sha256(frame: Any) -> str:
    """Return a digest of a fetched table: its column names and values."""
    digest = hashlib.sha256(repr(list(frame.columns)).encode())
    for column in frame.columns:
        digest.update("\n".join(map(str, frame[column].tolist())).encode())
    return digest.hexdigest()


def expect_table(frame: Any, name: str, n_rows: int, columns: Sequence[str]) -> None:
    """Raise DataError unless a table has these columns and so many rows."""
    missing = [c for c in columns if c not in frame.columns]
    if missing or len(frame) != n_rows:
        raise DataError(
            f"the table for {name} has {len(frame)} rows and lacks"
            f" {', '.join(missing) or 'no column'}; expected {n_rows} rows with the columns"
            f" {', '.join(columns)}"
        )
