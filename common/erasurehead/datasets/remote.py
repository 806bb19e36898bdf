"""Stores at any URL that fsspec can read, kept in a local cache by their digest."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path

from erasurehead.datasets.files import check_sizes, file_sha256
from erasurehead.datasets.manifest import ENCODING, MANIFEST, Manifest, parse_manifest
from erasurehead.errors import DataError, UsageError, reason_of


def default_cache() -> Path:
    """Return where fetched stores are kept: the user's cache directory, or a temporary one."""
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        path = Path(base) / "erasurehead" / "stores"
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # a read-only file system; a container's user without a home
        path = Path(tempfile.gettempdir()) / f"erasurehead-stores-{os.getuid()}"
        path.mkdir(mode=0o700, exist_ok=True)
    return path


def fetch_store(location: str, cache: Path | None = None) -> Path:
    """Copy a store into the cache unless its digest is there; return its directory.

    Every byte is compared with the manifest's digests before the copy gets its name.

    Raises
    ------
    DataError: the location cannot be read, is not a store, or arrives damaged.
    UsageError: fsspec, or what it needs for this kind of URL, is not installed.
    """
    try:
        import fsspec
    except ImportError:
        raise UsageError(
            f"reading {location} needs fsspec: pip install 'erasurehead[remote]'"
        ) from None
    cache = default_cache() if cache is None else cache
    partial = cache / f".partial-{secrets.token_hex(4)}"
    try:
        system, root = fsspec.core.url_to_fs(location)
        root = root.rstrip("/")
        text = system.cat_file(f"{root}/{MANIFEST}")
        manifest = parse_manifest(text, location)
        kept = cache / manifest.digest
        if _is_whole(kept, manifest):
            return kept
        partial.mkdir(parents=True)
        for name, entry in manifest.arrays.items():
            file = partial / f"{name}.npy"
            system.get_file(f"{root}/{name}.npy", str(file))
            if file_sha256(file) != entry.sha256:
                raise DataError(
                    f"{location}/{name}.npy is damaged: its SHA-256 is not the manifest's"
                    f" {entry.sha256:.16}...; upload the store again"
                )
        if manifest.encoding is not None:
            encoding = system.cat_file(f"{root}/{ENCODING}")
            (partial / ENCODING).write_bytes(encoding)  # what it should be, `Store.encoding` asks
        (partial / MANIFEST).write_bytes(text)
        try:
            partial.rename(kept)
        except OSError:
            if not _is_whole(kept, manifest):  # not merely another process that was faster
                raise
        return kept
    except OSError as error:
        reason = reason_of(error)
        raise DataError(
            f"cannot copy a store from {location} to {cache}: {reason}; check the address, the"
            " access and the space"
        ) from None
    except ImportError as error:
        raise UsageError(f"cannot read {location}: {reason_of(error)}") from None
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"cannot read {location}: {reason_of(error)}; name a directory or a URL that fsspec"
            " knows"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _is_whole(kept: Path, manifest: Manifest) -> bool:
    """Tell whether the cache has this store; a damaged copy is removed to be fetched again."""
    if not kept.exists():
        return False
    try:
        check_sizes(kept, manifest)
    except DataError:
        shutil.rmtree(kept)
        return False
    return True
