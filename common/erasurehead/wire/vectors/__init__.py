"""The formats in which models and gradients travel. A new one is one file and one line here."""

from __future__ import annotations

from erasurehead.registry import Registry
from erasurehead.wire.vectors.base import VectorFormat
from erasurehead.wire.vectors.f1 import F1
from erasurehead.wire.vectors.f2 import F2
from erasurehead.wire.vectors.f4 import F4
from erasurehead.wire.vectors.f8 import F8
from erasurehead.wire.vectors.f12 import F12
from erasurehead.wire.vectors.q8 import Q8

FORMATS: Registry[VectorFormat] = Registry(
    "vector format", {kind.name: kind for kind in (F8, F4, F2, Q8, F12, F1)}
)
