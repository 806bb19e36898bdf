"""Where the program's log goes."""

from __future__ import annotations

import logging

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def to_stderr(level: str) -> None:
    """Log everything from `level` on, one line each."""
    logging.basicConfig(level=level, format=FORMAT)


def beside_progress() -> None:
    """Log warnings and errors, but not those that the progress display shows as notices."""
    to_stderr("WARNING")
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: record.name != "erasurehead_master.shell.notices")
