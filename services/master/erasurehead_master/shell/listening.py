"""The bound socket of a run: its keys, its gate, and the limits of what may wait at it."""

from __future__ import annotations

from types import TracebackType

import zmq

from erasurehead.network import sockets
from erasurehead.network.backlog import Backlog
from erasurehead.network.curve import AllowedKeys, MasterKeys, read_secret
from erasurehead.network.gate import Gate
from erasurehead.process.descriptors import connections_with_room
from erasurehead.settings.groups import MasterKeySettings
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.sizes import MAX_HEADER_BYTES
from erasurehead_master.machine.plan import RunPlan

KERNEL_BUFFER_BYTES = 8 << 20
"""What a kernel usually holds at most for one connection."""


def read_keys(settings: MasterKeySettings) -> MasterKeys | None:
    """Return the master's keys, or None when there are none.

    Raises
    ------
    UsageError: a file or the directory is not as it should be.
    """
    if settings.secret is None or settings.workers is None:
        return None
    allowed = AllowedKeys(settings.workers)
    return MasterKeys(read_secret(settings.secret), allowed, settings.recheck_s)


class Listener:
    """A bound ROUTER and the gate before it; both are there while the context is open.

    Parameters
    ----------
    plan: of the run, which says how large honest messages are.
    address: to listen on.
    keys: with them every connection is encrypted, and only allowed workers get one.
    """

    def __init__(self, plan: RunPlan, address: str, keys: MasterKeys | None) -> None:
        self._plan = plan
        self._address = address
        self._keys = keys

    def __enter__(self) -> Listener:
        """Bind.

        Raises
        ------
        BindError: the address cannot be had.
        """
        settings = self._plan.settings
        # A stranger too many is cut by the gate; libzmq would spin where it can accept nobody.
        connections = connections_with_room(settings.max_connections)
        largest = largest_frame_bytes(self._plan)
        backlog = _backlog(settings, largest)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.gate = Gate(self._context, self._keys, connections, backlog)
        try:
            self.socket = sockets.bind_router(
                self._context,
                self._address,
                high_water_mark=settings.wire.high_water_mark,
                max_frame_bytes=largest,
                handshake_s=settings.limits.handshake_s,
                keys=self._keys,
                gate=self.gate,
            )
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        self._end()

    @property
    def bound(self) -> str:
        """The address, with the port that the kernel chose."""
        return self.socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def close(self) -> None:
        """Listen no more: workers that come now find no master, rather than a deaf one."""
        self.gate.let_go(self.socket)
        self.socket.close()

    def _end(self) -> None:
        self.gate.close()
        self._context.term()


def largest_frame_bytes(plan: RunPlan) -> int:
    """Return what no frame of an honest worker exceeds: a header, a support or a result.

    libzmq makes room for a frame as soon as its length is announced, so a tight limit is what
    keeps a peer that knows no word of the protocol from filling the memory.
    """
    largest = 8 * plan.n_parameters * max(4, plan.code.n_vectors)
    return min(plan.settings.wire.max_frame_bytes, max(largest, 2 * MAX_HEADER_BYTES))


def _backlog(settings: RunSettings, largest_frame_bytes: int) -> Backlog:
    """Return the limit of what may wait: full queues of all peers, and the kernel's own buffers."""
    message = largest_frame_bytes + 2 * MAX_HEADER_BYTES
    most = (settings.wire.high_water_mark + 2) * message + KERNEL_BUFFER_BYTES
    return Backlog(most, 2 * settings.coding.workers * message + 8 * most)
