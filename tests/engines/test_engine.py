"""Engines in general: room for workers, arguments, and packages that are missing."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

import erasurehead as eh
from erasurehead.settings.groups import MembershipSettings
from erasurehead_engines.engine import Engine, Node, await_room, deal
from erasurehead_engines.hosting import Watch
from erasurehead_engines.orders import Orders
from erasurehead_engines.visiting import Findings, Visitor
from erasurehead_master.machine.events import Departed, Event
from tests.support.toy_orders import orders

PATIENT = MembershipSettings(max_wait_s=60.0)
HURRIED = MembershipSettings(max_wait_s=1e-3)


class Toy(Engine):
    """An engine that grows by one node with room for two at each look."""

    name = "Toy"
    tried = ("1.0", "1.0")
    grow = "add nodes"

    def __init__(self, most: int) -> None:
        self._looks, self._most = 0, most

    def nodes(self) -> Sequence[Node]:
        self._looks += 1
        return [Node(str(n), "127.0.0.1", 2) for n in range(min(self._looks, self._most))]

    def visit(self, visitor: Visitor) -> Mapping[str, Findings]:
        raise NotImplementedError

    def start(self, orders: Orders) -> None:
        raise NotImplementedError

    def news(self) -> list[Event]:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


def test_a_run_waits_for_the_room_that_it_asks_for() -> None:
    assert await_room(Toy(9), 3, PATIENT) == 3
    assert await_room(Toy(9), None, PATIENT) == 2


@pytest.mark.parametrize(
    ("most", "workers", "told"),
    [
        (1, 3, r"asks for 3 workers and Toy has room for 2 after 0.001 s; add nodes, or ask for"),
        (0, 3, r"asks for 3 workers and Toy has room for 0 after 0.001 s; add nodes$"),
        (0, None, "asks for at least one worker and Toy has room for 0"),
    ],
)
def test_a_cluster_that_is_too_small_is_told_of(most: int, workers: int | None, told: str) -> None:
    with pytest.raises(eh.UsageError, match=told):
        await_room(Toy(most), workers, HURRIED)


def test_a_run_that_needs_fewer_workers_begins_with_those() -> None:
    few = HURRIED.model_copy(update={"min_workers": 2})
    assert await_room(Toy(1), 5, few) == 5


def test_workers_are_dealt_out_in_turn_while_there_is_room() -> None:
    nodes = [Node("a", "h", 1), Node("b", "h", 3), Node("c", "h", 2)]
    workers = orders(*"0123456").workers
    dealt = {node: [w.name for w in some] for node, some in deal(workers, nodes).items()}
    assert dealt == {"a": ["0"], "b": ["1", "3", "5"], "c": ["2", "4"]}
    assert list(deal(workers[:2], nodes)) == ["a", "b"]
    assert deal(workers, []) == {}


def test_news_wake_the_loop_and_an_engine_s_hiccup_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    looks: list[list[Event] | Exception] = [OSError("not now"), [], [Departed("a", "is gone")]]
    over = threading.Event()

    def look() -> list[Event]:
        if not looks:
            over.set()
            return [Departed("b", "is gone", last=True)]
        found = looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    with Watch(look) as watch:
        watch.start()
        assert over.wait(60)
        watch.join()
        assert [e.name for e in watch.take() if isinstance(e, Departed)] == ["a", "b"]
        assert watch.take() == []
    assert "cannot see what has become of the workers: not now" in caplog.text


@pytest.mark.parametrize(("train", "own"), [(eh.dask.train, "client"), (eh.ray.train, "spread")])
def test_an_engine_takes_the_arguments_of_train(train: Callable[..., Any], own: str) -> None:
    ours, theirs = (inspect.signature(f).parameters for f in (eh.train, train))
    extra = set(theirs) - set(ours)
    assert extra == {own, "bind", "insecure"}
    for name, parameter in ours.items():
        assert parameter == theirs[name]


@pytest.mark.parametrize(
    ("package", "call", "told"),
    [
        ("distributed", "eh.dask.train(None, 'x')", "erasurehead[dask]"),
        ("ray", "eh.ray.train('x')", "erasurehead[ray]"),
    ],
)
def test_a_package_that_is_missing_is_named_with_its_extra(
    package: str, call: str, told: str
) -> None:
    script = f"""
import sys
sys.modules[{package!r}] = None  # as if it were not installed
import erasurehead as eh
try:
    {call}
except eh.UsageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert f"need the package {package}; install '{told}'" in done.stdout
