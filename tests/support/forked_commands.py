"""The `erasurehead` command as processes that are there at once.

They are real ones, and can be killed; only what each would import is imported once, by a process
from which they fork.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess

from erasurehead_cli.main import main

PRELOADED = [__name__, "erasurehead_cli.commands.master", "erasurehead_master.shell.main"]

Start = Callable[[Sequence[str]], ForkServerProcess]


@contextmanager
def forked_commands() -> Iterator[Start]:
    """Return what starts the command with arguments; all of them are killed at the end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    started: list[ForkServerProcess] = []

    def start(arguments: Sequence[str]) -> ForkServerProcess:
        process = context.Process(target=_run, args=([*map(str, arguments)],))
        process.start()
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.join()
        # typeshed does not list the method.
        multiprocessing.forkserver._forkserver._stop()  # type: ignore[attr-defined]


def _run(arguments: Sequence[str]) -> None:
    sys.exit(main(arguments))
