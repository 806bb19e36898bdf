"""Looking at a cluster's nodes before anything starts: what is installed, and what they reach.

A visitor is a function that crosses to a node by value, not by the name of its module: so it also
arrives where this package is missing or is another version.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from erasurehead.errors import BindError, UsageError, reason_of
from erasurehead.process.version import installed_version
from erasurehead_engines.addresses import Place

ANSWER_S = 5.0
"""Seconds within which a node must reach this process."""

Findings = Mapping[str, Any]
"""What a visitor has found: the ``version`` there, None without ErasureHead, and ``why`` it did not
reach this process, None if it did."""

Visitor = Callable[[], Findings]


class Doorbell:
    """Listens where the master is going to, so that visitors can try; a context manager.

    A visitor hears a token, because over there the address may be another machine's.

    Parameters
    ----------
    place: of the master.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._token = secrets.token_bytes(16)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._answer, name="doorbell", daemon=True)

    def __enter__(self) -> Visitor:
        """Listen, and return the visitor.

        Raises
        ------
        BindError: the address cannot be had.
        """
        try:
            self._listener = self._place.listener()
        except OSError as error:
            raise BindError(
                f"cannot listen on {self._place.bind}: {reason_of(error)}; name an address of this"
                " machine by bind"
            ) from None
        self._listener.settimeout(0.1)
        self._thread.start()
        port = self._listener.getsockname()[1]
        return make_visitor(self._place.host.strip("[]"), port, self._token, ANSWER_S)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def _answer(self) -> None:
        while not self._over.is_set():
            try:
                visitor, _ = self._listener.accept()
                with visitor:
                    visitor.sendall(self._token)
            except OSError:
                continue  # nobody came, or did not wait for the answer


def make_visitor(host: str, port: int, token: bytes, limit_s: float) -> Visitor:
    """Return a function without parameters that looks around where it is called.

    It is a function inside another one: such functions are pickled by value.
    """

    def visit() -> Findings:

        why = None
        try:
            with socket.create_connection((host, port), limit_s) as bell:
                if bell.recv(len(token), socket.MSG_WAITALL) != token:
                    why = "another machine has that address there"
        except OSError as error:
            why = error.strerror or str(error) or type(error).__name__
        try:
            from erasurehead.process.version import installed_version
        except ImportError:
            return {"version": None, "why": why}
        return {"version": installed_version(), "why": why}

    return visit


def check_findings(found: Mapping[str, Findings], engine: str, host: str) -> None:
    """See that every node can work for a master of this version on this machine.

    Parameters
    ----------
    found: what a visitor found, by the name of the node.
    engine: what the nodes belong to.
    host: under which they looked for this machine.

    Raises
    ------
    UsageError: one of them cannot.
    """
    ours = installed_version()
    for node, findings in found.items():
        theirs, why = findings["version"], findings["why"]
        if theirs is None:
            raise UsageError(
                f"{node} of {engine} has no ErasureHead; install erasurehead {ours} into the"
                f" environment in which {engine} starts its workers"
            )
        if theirs != ours:
            raise UsageError(
                f"{node} of {engine} has ErasureHead {theirs} and this process has {ours}; install"
                " the same version in both environments"
            )
        if why is not None:
            raise UsageError(
                f"{node} of {engine} does not reach this process at {host}: {why}; name an address"
                " of this machine that it reaches by bind, or start the run on a machine of the"
                " cluster"
            )
