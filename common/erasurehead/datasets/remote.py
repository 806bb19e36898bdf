"""Stores at any URL that fsspec can read, kept in a local cache by their digest."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from erasurehead.datasets.manifest import MANIFEST, read_manifest
from erasurehead.errors import DataError, UsageError


def default_cache() -> Path:
    """Return where fetched stores are kept: the user's cache directory, or a temporary one."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "erasurehead" / "stores"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError:
        path = Path(tempfile.gettempdir()) / "erasurehead-stores"
        path.mkdir(exist_ok=True)
    return path


def fetch_store(location: str, cache: Path | None = None) -> Path:
    """Copy a store into the cache unless its digest is there; return its directory.

    Raises
    ------
    DataError: the location cannot be read, or is not a store.
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
        partial.mkdir(parents=True)
        (partial / MANIFEST).write_bytes(text)
        manifest = read_manifest(partial)
        kept = cache / manifest.digest
        if kept.exists():
            return kept
        for name in manifest.arrays:
            system.get_file(f"{root}/{name}.npy", str(partial / f"{name}.npy"))
        try:
            partial.rename(kept)
        except OSError:
            if not kept.exists():  # not merely another process that was faster
                raise
        return kept
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"cannot read a store at {location}: {error}") from None
    except (ImportError, ValueError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"cannot read {location}: {error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
