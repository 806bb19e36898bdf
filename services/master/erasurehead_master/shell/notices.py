"""Notices of a run in this process's log."""

from __future__ import annotations

import logging

from erasurehead.records import Level, Observer

log = logging.getLogger(__name__)


class LoggedNotices(Observer):
    """Writes every notice into the log."""

    def notice(self, level: Level, text: str) -> None:
        """Write one line."""
        log.log(logging.getLevelName(level.upper()), "%s", text)
