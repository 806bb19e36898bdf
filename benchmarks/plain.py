"""What the benchmarks of codes and machinery train with, whatever the defaults are."""

from __future__ import annotations

from types import MappingProxyType

PLAIN = MappingProxyType({"optimizer": "gradient-descent", "l2": 0.0, "until": "none"})
"""Plain gradient descent, as in the papers, for as many rounds as asked for."""
