"""SIGTERM, SIGHUP and SIGINT as something a poll loop can wait for, next to its sockets."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from types import FrameType, TracebackType
from typing import Any


class SignalWatch:
    """Collects signals while it is entered; `fileno` becomes readable when one came.

    A hang-up is left alone where it is ignored already, as under nohup. Signals that the
    process's parent has blocked until now come as soon as the watch is entered.

    Outside the main thread (where Python has no signal handling) it never reports anything.

    Attributes
    ----------
    came: signals that `take` has not returned yet, the first one first.
    """

    def __init__(self, *numbers: signal.Signals) -> None:
        self._numbers = numbers or (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.came: list[int] = []
        self._previous: dict[signal.Signals, Any] = {}
        self._previous_fd = -1
        self._previous_mask: set[int] = set()

    def __enter__(self) -> SignalWatch:
        if threading.current_thread() is threading.main_thread():
            for number in self._numbers:
                if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._note)
            self._previous_fd = signal.set_wakeup_fd(
                self._writer.fileno(), warn_on_full_buffer=False
            )
            self._previous_mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, self._previous)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._previous:
            signal.set_wakeup_fd(self._previous_fd)
            # Python complains of a signal that comes while its handler is replaced, and drops it.
            signal.pthread_sigmask(signal.SIG_BLOCK, self._previous)
            for number, handler in self._previous.items():
                signal.signal(number, handler)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._previous_mask)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """Return the descriptor to poll for reading."""
        return self._reader.fileno()

    def take(self) -> int | None:
        """Return the next signal that came, or None; `fileno` is not readable any more.

        It asks the kernel, so a loop that turns often calls this only when there is something to
        take (`came`) or `fileno` is readable.
        """
        # Python writes here for every signal that has a handler, also of others than ours.
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)
        return self.came.pop(0) if self.came else None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came.append(number)
