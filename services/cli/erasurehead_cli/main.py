"""The `erasurehead` command's entry, which is there before what it takes its time to import."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from erasurehead.errors import EXIT_INTERRUPTED


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code (docs/exit-codes.md).

    Parameters
    ----------
    arguments: after the command's name; None: the process's own.
    """
    try:
        # Not at the top: Ctrl-C may come while this is imported.
        from erasurehead_cli.command_line import run

        return run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        sys.stderr.write("erasurehead: interrupted\n")
        return EXIT_INTERRUPTED
