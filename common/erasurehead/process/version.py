"""Which version this is."""

from __future__ import annotations

from importlib import metadata


def installed_version() -> str:
    """Return the version of the installed distribution; `unknown` if it is not installed."""
    try:
        return metadata.version("erasurehead")
    except metadata.PackageNotFoundError:
        return "unknown"
