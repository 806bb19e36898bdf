"""Taking turns at the cores: the keeper by itself, and the channels to real workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from erasurehead.datasets.prepare import prepare
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_local.cluster import LocalCluster
from erasurehead_local.train import train
from erasurehead_local.turn_channels import TurnDesk
from erasurehead_local.turns import EXPIRY_S, TurnKeeper
from erasurehead_worker.shell.turns import Turns


def test_turns_are_granted_in_the_order_they_were_asked_for() -> None:
    keeper = TurnKeeper(2)
    for worker in (7, 3, 5, 9):
        keeper.ask(worker, wish=worker * 10)
    assert keeper.grant(0.0) == [(7, 70), (3, 30)]
    assert keeper.grant(0.0) == []
    keeper.leave(3)
    keeper.leave(5)  # thought better of it while it waited
    assert keeper.grant(0.0) == [(9, 90)]
    keeper.leave(7)
    assert keeper.grant(0.0) == []


def test_a_turn_expires_only_when_somebody_waits() -> None:
    """1. 1 has the only turn and freezes. 2. 2 asks; 1's turn is over after EXPIRY_S."""
    keeper = TurnKeeper(1)
    keeper.ask(1, 1)
    assert keeper.grant(0.0) == [(1, 1)]
    assert keeper.wake_at == np.inf
    keeper.ask(2, 1)
    assert keeper.wake_at == EXPIRY_S
    assert keeper.grant(EXPIRY_S / 2) == []
    assert keeper.grant(EXPIRY_S) == [(2, 1)]
    keeper.leave(1)  # it comes back late, and takes nothing from 2
    keeper.ask(3, 1)
    assert keeper.grant(EXPIRY_S) == []


@given(
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(["ask", "leave", "later"]), st.integers(0, 5)), max_size=60),
)
def test_nobody_waits_for_ever(n_turns: int, events: list[tuple[str, int]]) -> None:
    """Never more turns than there are, none granted unasked, and everybody's comes by expiry."""
    keeper, now, wishes = TurnKeeper(n_turns), 0.0, 0
    waiting: dict[int, int] = {}
    holding: dict[int, float] = {}

    def grant() -> None:
        for worker, wish in keeper.grant(now):
            assert waiting.pop(worker) == wish
            holding[worker] = now
        fresh = [w for w, since in holding.items() if now < since + EXPIRY_S]
        assert len(fresh) <= n_turns

    for what, worker in events:
        if what == "ask":
            wishes += 1
            keeper.ask(worker, wishes)
            waiting[worker] = wishes
            holding.pop(worker, None)
        elif what == "leave":
            keeper.leave(worker)
            waiting.pop(worker, None)
            holding.pop(worker, None)
        else:
            now += EXPIRY_S / 3
        grant()
    for _ in range(6):
        now = max(now, min(keeper.wake_at, now + EXPIRY_S))
        grant()
    assert not waiting


Workers = Callable[[TurnDesk, int], list[Turns]]


@pytest.fixture
def workers() -> Iterator[Workers]:
    """Open channels, and close them in the end."""
    opened: list[Turns] = []

    def open_(desk: TurnDesk, number: int) -> list[Turns]:
        new = [Turns(desk.open()) for _ in range(number)]
        opened.extend(new)
        return new

    yield open_
    for turns in opened:
        turns.close()


def test_a_grant_that_crossed_a_change_of_mind_is_not_taken(workers: Workers) -> None:
    desk = TurnDesk(TurnKeeper(1), lambda: 0.0)
    one, other = workers(desk, 2)
    one.ask()
    desk.serve(list(desk.descriptors))
    one.give_back()  # the grant is on its way
    one.ask()
    one.look()
    assert one.awaited
    other.ask()
    desk.serve(list(desk.descriptors))
    one.look()
    other.look()
    assert one.granted
    assert other.awaited
    desk.close()


def test_without_a_keeper_everybody_has_a_turn(workers: Workers) -> None:
    """The keeper dies while one waits; later wishes are granted at once."""
    desk = TurnDesk(TurnKeeper(1), lambda: 0.0)
    one, other = workers(desk, 2)
    for turns in (one, other):
        turns.ask()
    desk.serve(list(desk.descriptors))
    desk.close()
    for turns in (one, other):
        turns.look()
        assert turns.granted
        turns.give_back()
        turns.ask()
        assert turns.granted


def test_who_dies_with_a_turn_gives_it_back(workers: Workers) -> None:
    desk = TurnDesk(TurnKeeper(1), lambda: 0.0)
    dying, survivor = workers(desk, 2)
    dying.ask()
    survivor.ask()
    desk.serve(list(desk.descriptors))
    survivor.look()
    assert survivor.awaited
    dying.close()
    desk.serve(list(desk.descriptors))
    survivor.look()
    assert survivor.granted
    desk.close()


class Freezer(Observer):
    """Freezes a worker, with or without a turn, in the middle of a run."""

    def __init__(self) -> None:
        self.cluster: LocalCluster | None = None
        self.records: list[RoundRecord] = []
        self.frozen = 0

    def take(self, cluster: LocalCluster) -> None:
        """Take note of whose processes they are."""
        self.cluster = cluster

    def started(self, start: RunStart) -> None:
        """Freeze the first worker."""
        assert self.cluster is not None
        self.frozen = self.cluster.pids["local-0"]
        os.kill(self.frozen, signal.SIGSTOP)

    def round_over(self, record: RoundRecord) -> None:
        """Keep the record."""
        self.records.append(record)

    def finished(self, summary: RunSummary) -> None:
        """Let it go, so that it can end."""
        os.kill(self.frozen, signal.SIGCONT)


@pytest.fixture(scope="module")
def long_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows enough for half of them to be more than one chunk."""
    out = tmp_path_factory.mktemp("stores") / "long"
    options = {"rows": "75000", "columns": "500", "nnz": "20", "labels": "two-classes", "seed": "3"}
    return prepare("synthetic", source=None, out=out, options=options).path


def test_real_workers_take_turns_past_one_that_is_frozen(long_store: Path) -> None:
    """One turn for four workers with work of several chunks: the code's other copies answer, and
    the model is the one that free workers find."""
    models = []
    for turns in (1, 0):
        settings = load(
            RunSettings,
            {
                "store": str(long_store),
                "scheme": "egc:c=2",
                "workers": 4,
                "rounds": 12,
                "step": "0.1",
                "membership": {"silence_limit_s": 60.0},
            },
            environment={},
        )
        observer = Freezer()
        summary = train(settings, [observer], None, observer.take, turns=turns)
        assert summary.rounds == 12
        assert all(0 in r.stragglers for r in observer.records[1:])
        assert all(r.decode_error == 0.0 for r in observer.records)
        models.append([r.train_loss for r in observer.records])
    np.testing.assert_allclose(models[0], models[1], rtol=1e-12)
