"""ErasureHead: distributed gradient descent that does not wait for stragglers.

``import erasurehead as eh`` is the face for Python (docs/python.md): `eh.train`, `eh.simulate`,
`eh.plan`, `eh.torch_model`, `eh.Run` and the estimators. They live above this library, in
`erasurehead_face`; their names stand here, and what is behind a name is imported when it is first
asked for. So the import itself loads nothing, and no part of the library knows what stands on it.
"""

import importlib
from typing import Any

_FACE = "erasurehead_face"

_HOMES = {
    "train": "running.train",
    "simulate": "running.simulate",
    "plan": "running.plan",
    "Run": "running.run",
    "Plan": "running.plan",
    "uncoded": "running.schemes",
    "egc": "running.schemes",
    "agc": "running.schemes",
    "cached": "running.schemes",
    "torch_model": "running.networks",
    "RunError": "running.run",
    "CodedClassifier": "estimators.classifier",
    "CodedRegressor": "estimators.regressor",
}
"""Names of the face, and where each is at home there."""

_OWN = {
    **dict.fromkeys(("ErasureHeadError", "UsageError", "DataError"), "errors"),
    "Store": "datasets.store",
}
"""Names of this library, and where each is at home."""

_DOORS = ("dask", "ray")
"""Modules of this library that lead to the face."""

__all__ = [*_HOMES, *_OWN, *_DOORS]


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return importlib.import_module(f"erasurehead.{name}")
    if name in _HOMES:
        home = importlib.import_module(f"{_FACE}.{_HOMES[name]}")
    elif name in _OWN:
        home = importlib.import_module(f"erasurehead.{_OWN[name]}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(home, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
