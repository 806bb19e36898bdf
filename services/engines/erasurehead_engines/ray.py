"""Workers on a Ray cluster: plain actors, which Ray starts again elsewhere when a node is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import ActorDiedError, RayActorError, RayError
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import (
    NodeAffinitySchedulingStrategy,
    PlacementGroupSchedulingStrategy,
)

from erasurehead.errors import reason_of
from erasurehead_engines.engine import Engine, Node
from erasurehead_engines.orders import Orders
from erasurehead_engines.serving import serve
from erasurehead_engines.versions import warn_if_untried
from erasurehead_engines.visiting import Findings, Visitor
from erasurehead_master.machine.events import Departed, Event

ENDING_S = 10.0
"""Seconds that actors have to end their workers, before Ray kills them."""

BUNDLE = {"CPU": 1}
"""What each worker takes up."""


class Hand:
    """An actor with one ErasureHead worker, which its constructor starts.

    So a worker is there again when Ray has started the actor again, and nobody need ask for it.

    Parameters
    ----------
    plain: plain orders.
    """

    def __init__(self, plain: Mapping[str, Any]) -> None:
        self._serving = serve(plain)

    def ended(self) -> dict[str, int]:
        """Wait for the worker's end; return its exit code by its name."""
        return self._serving.wait()

    def end(self) -> None:
        """Have the worker end, and wait for that."""
        self._serving.end()
        self._serving.join(ENDING_S)


class Ray(Engine):
    """The cluster that this process is connected to, or that Ray makes for it.

    Parameters
    ----------
    spread: put workers on as many nodes as possible, in a placement group.
    """

    name = "Ray"
    tried = ("2.60", "2.60")
    grow = "add nodes or wait for them"

    def __init__(self, *, spread: bool) -> None:
        warn_if_untried(self.name, ray.__version__, *self.tried)
        if not ray.is_initialized():
            ray.init()
        self._spread = spread
        self._group: Any = None
        self._actors: dict[str, Any] = {}
        self._waits: dict[Any, str] = {}
        self._lost: set[str] = set()

    def nodes(self) -> Sequence[Node]:
        """Return the nodes that have a CPU for tasks."""
        alive = [node for node in ray.nodes() if node["Alive"]]
        return [
            Node(node["NodeID"], node["NodeManagerAddress"], room)
            for node in alive
            if (room := int(node["Resources"].get("CPU", 0))) > 0
        ]

    def visit(self, visitor: Visitor) -> Mapping[str, Findings]:
        """Call a visitor on every node; one that is just leaving is not missed."""
        task = ray.remote(num_cpus=0, max_retries=0)(visitor)
        visits = {
            f"node {node.name:.8} ({node.host})": task.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node.name, soft=False)
            ).remote()
            for node in self.nodes()
        }
        found = {}
        for name, visit in visits.items():
            try:
                found[name] = ray.get(visit)
            except RayError:
                continue
        return found

    def start(self, orders: Orders) -> None:
        """Create an actor for each worker; those that find no room start when there is some."""
        kind = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=0, max_concurrency=2)(Hand)
        if self._spread:
            bundles = [BUNDLE] * len(orders.workers)
            self._group = placement_group(bundles, strategy="SPREAD")
        for index, worker in enumerate(orders.workers):
            placed = kind
            if self._spread:
                placed = kind.options(
                    scheduling_strategy=PlacementGroupSchedulingStrategy(
                        self._group, placement_group_bundle_index=index
                    )
                )
            name = str(worker.name)
            actor = self._actors[name] = placed.remote(orders.only([worker]).plain())
            self._waits[actor.ended.remote()] = name

    def news(self) -> list[Event]:
        """Return which workers have failed or were lost, or that Ray was shut down."""
        if not ray.is_initialized():
            why = "is given up: Ray was shut down"
            return [Departed(next(iter(self._actors)), why, last=True)]
        found: list[Event] = []
        waits = list(self._waits)
        done = ray.wait(waits, num_returns=len(waits), timeout=0)[0] if waits else []
        for wait in done:
            name = self._waits.pop(wait)
            try:
                codes = ray.get(wait)
                found += [Departed(n, f"ended with code {c}") for n, c in codes.items() if c]
            except ActorDiedError as error:
                found.append(Departed(name, f"is not started again: {reason_of(error)}"))
                self._lost.add(name)
            except RayActorError:
                if name not in self._lost:
                    found.append(Departed(name, "was lost with its actor, which Ray starts again"))
                self._lost.add(name)
                self._waits[self._actors[name].ended.remote()] = name
            except RayError as error:
                found.append(Departed(name, f"could not work: {reason_of(error)}"))
        return found

    def end(self) -> None:
        """Have the workers end, and kill the actors."""
        if not ray.is_initialized():
            return
        there = [
            actor.end.remote() for name, actor in self._actors.items() if name not in self._lost
        ]
        if there:
            ray.wait(there, num_returns=len(there), timeout=ENDING_S)
        for actor in self._actors.values():
            ray.kill(actor)
        if self._group is not None:
            remove_placement_group(self._group)
