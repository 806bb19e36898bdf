"""The files of a store against what its manifest says of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from erasurehead.datasets.manifest import Manifest
from erasurehead.errors import DataError, reason_of


def check_sizes(path: Path, manifest: Manifest) -> None:
    """Raise DataError unless every file is there with exactly the bytes it should have."""
    for name, entry in manifest.arrays.items():
        file = path / f"{name}.npy"
        try:
            found = file.stat().st_size
        except OSError as error:
            raise DataError(
                f"{file} of the store cannot be read ({reason_of(error)}); prepare the store again"
            ) from None
        if found != entry.file_bytes:
            raise DataError(
                f"{file} has {found} bytes, the manifest says {entry.file_bytes}: it was cut off"
                " or changed; prepare the store again"
            )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
