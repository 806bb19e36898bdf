"""Long sums in two halves, on two cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from erasurehead.parts import CHUNK, Work, at_once
from erasurehead.process.cores import usable_cores

HALVED_PARAMETERS = 1 << 16
"""With fewer parameters a second thread takes longer to wake than to work."""


class TwoCores:
    """Does work on both halves of all parameters at once, if there are two cores and enough to do.

    Sums of long vectors are bound by the memory's speed, of which one core gets two thirds or less.
    The thread is started when it is first needed and ends with the object.
    """

    def __init__(self) -> None:
        self._helper: ThreadPoolExecutor | None = None

    def do(self, n_parameters: int, work: Work) -> None:
        """Work on all parameters; see `erasurehead.parts.InParts`."""
        if n_parameters < HALVED_PARAMETERS or usable_cores() == 1:
            at_once(n_parameters, work)
            return
        if self._helper is None:
            self._helper = ThreadPoolExecutor(1, thread_name_prefix="two-cores")
        # At a boundary of what is added at a time, so that no bit depends on the number of cores.
        middle = n_parameters // 2 // CHUNK * CHUNK
        second = self._helper.submit(work, slice(middle, n_parameters))
        try:
            work(slice(0, middle))
        finally:
            second.result()
