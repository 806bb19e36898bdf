"""The errors of ErasureHead: a small tree whose every message is one sentence for a person.

The sentence says what was wrong, what was expected and what to do. ``exit_code`` is what the
`erasurehead` command ends with when the error reaches it; docs/exit-codes.md lists them all.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_NO_WORKERS = 3
EXIT_DIVERGED = 4
EXIT_REFUSED = 5
EXIT_CANNOT_BIND = 6
EXIT_MASTER_LOST = 7
EXIT_INTERRUPTED = 130


class ErasureHeadError(Exception):
    """Anything this project reports to a person instead of a traceback."""

    exit_code = EXIT_INTERNAL


class UsageError(ErasureHeadError, ValueError):
    """The caller asked for something that cannot be: a bad option, an impossible combination."""

    exit_code = EXIT_USAGE


class DataError(UsageError):
    """A file, table or store does not hold what it should."""


class BindError(ErasureHeadError):
    """The address to listen on cannot be had."""

    exit_code = EXIT_CANNOT_BIND


def reason_of(error: BaseException) -> str:
    """Return an error of the system or of a library in one line, which is never empty.

    Errors of the system have a text of their own (`OSError.strerror`), but not those that NumPy
    raises for a full disk; and some errors have no text at all (a `MemoryError`).
    """
    told = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(told.split()) or type(error).__name__
