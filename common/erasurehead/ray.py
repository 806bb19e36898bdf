"""Runs on a Ray cluster: `erasurehead.ray.train` (docs/clusters.md).

The function is at home in the face for Python, and is imported when it is first asked for.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    if name != "train":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module("erasurehead_face.clusters.ray").train
