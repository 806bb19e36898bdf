"""Versions of engines that this project was tried with."""

from __future__ import annotations

import logging
import re

log = logging.getLogger(__name__)


def warn_if_untried(engine: str, version: str, first: str, last: str) -> None:
    """Warn of a version that lies outside those that were tried, by its first two numbers.

    Parameters
    ----------
    engine: as in sentences.
    version: that is installed.
    first, last: that were tried.
    """
    if not _numbers(first) <= _numbers(version) <= _numbers(last):
        log.warning(
            "%s %s was never tried with this version of ErasureHead (%s to %s were); if the run"
            " fails, install one of those",
            engine,
            version,
            first,
            last,
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])
