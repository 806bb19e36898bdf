"""Orders for workers, without an engine."""

from __future__ import annotations

from typing import Any

from erasurehead.process.version import installed_version
from erasurehead_engines.orders import Orders, Wanted

NOBODY = "tcp://127.0.0.1:1"


def orders(*names: str, **changes: Any) -> Orders:
    """Return orders for workers of these names, at an address where no master is."""
    given = {
        "run": "toy",
        "version": installed_version(),
        "address": NOBODY,
        "plugin": (),
        "public": None,
        "workers": tuple(Wanted(name=name, slot=None, secret=None) for name in names),
        "late": Wanted(name=None, slot=None, secret=None),
    }
    return Orders(**{**given, **changes})
