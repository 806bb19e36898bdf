"""What an engine is to a run: it starts processes where it has room, and tells of their ends."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from erasurehead.errors import UsageError
from erasurehead.settings.groups import MembershipSettings
from erasurehead_engines.orders import Orders, Wanted
from erasurehead_engines.visiting import Findings, Visitor
from erasurehead_master.machine.events import Event

LOOK_S = 0.25
"""Seconds between two looks at a cluster that is too small."""


@dataclass(frozen=True, slots=True)
class Node:
    """Something of a cluster in which workers can run.

    Attributes
    ----------
    name: as users of the engine know it.
    host: on which it is.
    room: how many workers it has cores or threads for.
    """

    name: str
    host: str
    room: int


class Engine(ABC):
    """A cluster of somebody else's, and what a run has there.

    Attributes
    ----------
    name: as in sentences.
    tried: the first and the last version that this project was tried with.
    grow: what a user does to have more room.
    """

    name: ClassVar[str]
    tried: ClassVar[tuple[str, str]]
    grow: ClassVar[str]

    @abstractmethod
    def nodes(self) -> Sequence[Node]:
        """Return what is there now."""

    @abstractmethod
    def visit(self, visitor: Visitor) -> Mapping[str, Findings]:
        """Call a visitor on every node, and return what it found there by the node's name."""

    @abstractmethod
    def start(self, orders: Orders) -> None:
        """Start the workers of a run.

        Raises
        ------
        ErasureHeadError: the engine refuses them.
        """

    @abstractmethod
    def news(self) -> list[Event]:
        """Return what has become of the workers since the last call, from any thread."""

    @abstractmethod
    def end(self) -> None:
        """End all that `start` has started; nothing is raised, whatever state the engine is in."""


def await_room(engine: Engine, workers: int | None, membership: MembershipSettings) -> int:
    """Wait until a cluster has room for the workers of a run, and return how many there are.

    Parameters
    ----------
    workers: that the run asks for; None: as many as there is room for.
    membership: says how long to wait, and how many are needed after that.

    Raises
    ------
    UsageError: it has not.
    """
    until = time.monotonic() + membership.max_wait_s
    while True:
        room = sum(node.room for node in engine.nodes())
        if room >= (workers or 1):
            return workers or room
        if time.monotonic() >= until:
            break
        time.sleep(LOOK_S)
    if workers is not None and room >= (membership.min_workers or workers):
        return workers
    asked = "at least one worker" if workers is None else f"{workers} workers"
    fewer = f", or ask for workers={room}" if room else ""
    raise UsageError(
        f"the run asks for {asked} and {engine.name} has room for {room} after"
        f" {membership.max_wait_s:g} s; {engine.grow}{fewer}"
    )


def deal(workers: Sequence[Wanted], nodes: Sequence[Node]) -> dict[str, list[Wanted]]:
    """Deal workers out to nodes in turn, to each as many as it has room for.

    Those for which there is no room are left out: they may come later.
    """
    dealt: dict[str, list[Wanted]] = {}
    left = iter(workers)
    for turn in range(max((node.room for node in nodes), default=0)):
        for node in nodes:
            if node.room > turn and (worker := next(left, None)) is not None:
                dealt.setdefault(node.name, []).append(worker)
    return dealt
