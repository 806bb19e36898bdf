"""The process of a nursery, before it has workers.

A nursery imports everything that a worker needs, which takes it about half a second. A command that
knows that it will want workers starts the process first and does its own imports and its plan
meanwhile; hence nothing is imported here that takes time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from erasurehead.process.cores import ONE_THREAD

GRACE_S = 3.0
"""Seconds that workers have to leave by themselves before they are killed."""


class Hatching:
    """A context manager around the process; a process that was given no workers is killed.

    Parameters
    ----------
    log_level: of the workers.
    """

    def __init__(self, log_level: str = "WARNING") -> None:
        self._log_level = log_level
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Hatching:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "erasurehead_local.nursery", self._log_level],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Thread pools in all workers would only fight. What this process can import, such as a
            # module beside its script, they can as well.
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": _import_path()},
            # Ctrl-C in a terminal reaches the master only, which then ends the workers.
            start_new_session=True,
        )
        return self

    def take(self) -> subprocess.Popen[bytes]:
        """Return the process to its one user, who has to end it.

        Raises
        ------
        RuntimeError: there is no process, or it has been taken already.
        """
        if self._process is None:
            raise RuntimeError("this nursery was not started, or has its user already")
        process, self._process = self._process, None
        return process

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        process = self.take()
        process.kill()
        with process:  # closes its pipes and waits for its end
            pass


def _import_path() -> str:
    """Return where this process looks for modules; an empty entry is the current folder."""
    return os.pathsep.join(dict.fromkeys(str(Path(entry).absolute()) for entry in sys.path))
