"""Repetition codes and their groups."""

from __future__ import annotations

from erasurehead.coding.base import GradientCode
from erasurehead.coding.groups import Groups


def groups_of(code: GradientCode) -> Groups:
    """Return the groups of a code that must have some."""
    assert code.groups is not None
    return code.groups
