"""A peer's words, short enough for a log: a stranger must not be able to fill one."""

from __future__ import annotations

LONGEST = 64
"""Characters."""


def brief(words: str) -> str:
    """Return the words, or their beginning where there are many."""
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."
