"""Worker processes on this machine, started together and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from erasurehead.process.cores import usable_cores
from erasurehead.settings.tree import WorkerSettings
from erasurehead_local.hatching import GRACE_S, Hatching


class LocalCluster:
    """A nursery and its workers; a context manager.

    `pids` maps names of living workers to process ids; `exit_codes` those of ended ones.

    Parameters
    ----------
    log_level: of the workers.
    turns: how many workers may be at a long computation at the same time; 0: any number, as it
        must be where each has cores or a CPU quota of its own; None: one for each core.
    hatching: the nursery's process, if it is under way already; its log level counts.
    """

    def __init__(
        self,
        log_level: str = "WARNING",
        turns: int | None = None,
        hatching: Hatching | None = None,
    ) -> None:
        self.pids: dict[str, int] = {}
        self.exit_codes: dict[str, int] = {}
        self._hatching = hatching
        self._log_level = log_level
        self._turns = turns
        self._buffer = b""
        self._starting: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LocalCluster:
        self._process = (self._hatching or Hatching(self._log_level).__enter__()).take()
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self.take_turns(self._turns)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it may be gone, and an order unread
            process.stdin.close()
        try:
            process.wait(2 * GRACE_S + 1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.poll()
        process.stdout.close()

    def take_turns(self, turns: int | None) -> None:
        """Say how many of the workers that start from now on may compute at the same time.

        No worker may be there. `turns` is as for the constructor.
        """
        self._order({"turns": usable_cores() if turns is None else turns})

    @property
    def alive(self) -> bool:
        """True while the nursery runs."""
        return self._process is not None and self._process.poll() is None

    def disown(self) -> None:
        """Let go of the nursery in a process that was forked from the one that started it."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        process.returncode = 0  # its parent waits for it

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when `poll` has news."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    @property
    def deserted(self) -> bool:
        """True when no worker is there or about to be."""
        return not self.pids and not self._starting

    def start(self, workers: Sequence[WorkerSettings]) -> None:
        """Start workers; each must have a name."""
        for settings in workers:
            assert settings.name is not None
            self._starting.append(settings.name)
            self._order({"start": settings.model_dump(mode="json")})

    @contextlib.contextmanager
    def guarding(self, folder: Path) -> Iterator[Path]:
        """Have a folder removed in the end, by the nursery if this process goes before."""
        self._order({"guard": str(folder)})
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._order({"unguard": str(folder)})

    def signal(self, name: str, number: int) -> None:
        """Send a signal to a worker by name."""
        self._order({"signal": name, "number": number})

    def end_workers(self) -> None:
        """Ask every worker to end, those that are about to be as well."""
        for name in (*self.pids, *self._starting):
            self.signal(name, signal.SIGTERM)

    def poll(self) -> list[tuple[str, int]]:
        """Read the nursery's news; return (name, exit code) of workers that have ended.

        With the nursery, however it went, all its workers end.
        """
        ended: list[tuple[str, int]] = []
        while True:
            try:
                read = os.read(self.fileno(), 1 << 16)
            except BlockingIOError:
                break
            if not read:
                ended += self._all_ended()
                break
            *lines, self._buffer = (self._buffer + read).split(b"\n")
            for line in lines:
                news = json.loads(line)
                if "started" in news:
                    self._starting.remove(news["started"])
                    self.pids[news["started"]] = news["pid"]
                else:
                    # A successor of the same name may have started before this one was reaped.
                    if self.pids.get(news["exited"]) == news["pid"]:
                        del self.pids[news["exited"]]
                    self.exit_codes[news["exited"]] = news["code"]
                    ended.append((news["exited"], news["code"]))
        return ended

    def wait(self, limit_s: float) -> bool:
        """Wait until every worker has ended; False if some had not after the limit."""
        until = time.monotonic() + limit_s
        self.poll()
        while not self.deserted and time.monotonic() < until:
            select.select([self.fileno()], [], [], max(0.0, until - time.monotonic()))
            self.poll()
        return self.deserted

    def _all_ended(self) -> list[tuple[str, int]]:
        assert self._process is not None
        code = self._process.wait()
        names = [*self.pids, *self._starting]
        self.pids.clear()
        self._starting.clear()
        self.exit_codes.update(dict.fromkeys(names, code))
        return [(name, code) for name in names]

    def _order(self, order: dict[str, object]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # A nursery that reads no orders has closed its other end too, which `poll` finds out.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
