"""What the conductor does with the machine's actions, over a post that keeps what it is given."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.errors import EXIT_OK
from erasurehead.records import Level, Observer, RoundRecord, RunStart, RunSummary
from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    Assign,
    Heartbeat,
    Hello,
    NeedTask,
    Ready,
    Result,
    Step,
    Task,
    ToMaster,
    ToWorker,
)
from erasurehead.wire.vectors.base import Packed
from erasurehead_master.machine.events import Garbage, Received, Shutdown, TurnedAway
from erasurehead_master.run.conductor import Conductor
from erasurehead_master.run.finishing import make_finishing
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.seams import Outcome, Rating, Usage
from erasurehead_master.run.streaming import TaskStreamer
from tests.support.virtual_run import COLUMNS, make_master, some_rows


class Written(Observer):
    """Keeps what it is told in one list with what the post is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.records: list[RoundRecord] = []
        self.summary: RunSummary | None = None
        self.start: RunStart | None = None

    def started(self, start: RunStart) -> None:
        self.start = start

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)
        self.lines.append(f"record {record.round}")

    def checkpointed(self, round_: int, kept: bool) -> None:
        self.lines.append(f"checkpoint {round_} {'kept' if kept else 'lost'}")

    def notice(self, level: Level, text: str) -> None:
        self.lines.append(f"{level}: {text}")

    def finished(self, summary: RunSummary) -> None:
        self.summary = summary


class KeptPost:
    """Keeps what is sent; `gone` peers cannot be reached."""

    def __init__(self, written: Written) -> None:
        self.written = written
        self.wrapped: list[ToWorker] = []
        self.sent: list[tuple[bytes, ToWorker]] = []
        self.gone: set[bytes] = set()
        self.nuisances: list[bytes] = []

    def wrap(self, message: ToWorker) -> ToWorker:
        self.wrapped.append(message)
        return message

    def send(self, peer: bytes, parcel: ToWorker) -> bool:
        self.sent.append((peer, parcel))
        if isinstance(parcel, Step):
            self.written.lines.append(f"step {parcel.round}")
        return peer not in self.gone

    def refused(self, peer: bytes) -> None:
        self.nuisances.append(peer)

    def traffic(self) -> tuple[int, int]:
        return 7, 5

    def steps(self) -> list[tuple[bytes, Step]]:
        return [(peer, m) for peer, m in self.sent if isinstance(m, Step)]


class Keeper:
    """Takes note of what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.waiting: list[Outcome] = []

    def closed(self, round_: int, times: RunTimes, now: float) -> None:
        self.told.append(f"closed {round_}")

    def reported(self, round_: int) -> None:
        self.told.append(f"reported {round_}")

    def outcomes(self) -> list[Outcome]:
        waiting, self.waiting = self.waiting, []
        return waiting

    def finish(self, round_: int, times: RunTimes, now: float) -> list[Outcome]:
        self.told.append(f"finish {round_}")
        return [(round_, None)]


class Scene:
    """A conductor between hand-made events and a post."""

    def __init__(
        self, rating: Rating | None = None, keeper: Keeper | None = None, **settings: object
    ) -> None:
        rows = some_rows()
        given = {"scheme": "uncoded", "workers": 3, "rounds": 3, **settings}
        self.machine, descent = make_master(rows, **given)
        self.written = Written()
        self.post = KeptPost(self.written)
        self.now = 0.0
        self.conductor = Conductor[ToWorker](
            self.machine,
            descent,
            self.post,
            clock=lambda: self.now,
            stopwatch=lambda: 0.0,
            observers=[self.written],
            rating=rating,
            read_rows=TaskStreamer(rows).chunk,
            finishing=make_finishing(self.machine.plan, descent, rated=rating is not None),
            keeper=keeper,
        )

    def say(self, slot: int, message: ToMaster) -> None:
        self.conductor.handle(Received(b"%d" % slot, message))

    def begin(self, supports: list[IntArray | None]) -> None:
        """Let every worker greet and be ready."""
        for slot, support in enumerate(supports):
            self.say(slot, Hello(PROTOCOL_VERSION, f"w{slot}", "1", "host", slot))
            self.say(slot, Ready(0, slot, 20, "made-up", support))

    def answer(self, slot: int, round_: int) -> None:
        support = self.machine.training.supports[slot]
        width = COLUMNS if support is None else len(support)
        self.say(slot, result(slot, round_, np.full(width, 0.1)))

    def play(self, round_: int) -> None:
        for slot in range(3):
            self.answer(slot, round_)


def result(slot: int, round_: int, values: FloatArray) -> Result:
    vector = Packed("f8", len(values), (values,))
    return Result(0, round_, slot, 0, (vector,), [1.0], 0.0, 0.0)


DENSE: list[IntArray | None] = [None, None, None]


def rated_in_two_pieces(model: FloatArray) -> Iterator[dict[str, float] | None]:
    yield None
    yield {"norm": float(np.linalg.norm(model))}


def test_the_model_is_wrapped_once_for_each_distinct_support() -> None:
    scene = Scene()
    scene.begin([np.array([0, 2, 5]), np.array([0, 2, 5]), np.arange(1, 4)])
    steps = dict(scene.post.steps())
    assert len(steps) == 3
    assert steps[b"0"] is steps[b"1"]
    assert len({id(step) for step in steps.values()}) == 2
    assert len([m for m in scene.post.wrapped if isinstance(m, Step)]) == 2
    assert [steps[b"%d" % slot].model.n for slot in range(3)] == [3, 3, 3]


def test_a_worker_that_joins_an_open_round_is_sent_the_model_that_was_wrapped() -> None:
    scene = Scene(membership={"heartbeat_interval_s": 1.0})
    scene.begin([None, np.arange(3), np.arange(3)])
    scene.now = 1.5
    scene.say(1, Heartbeat(0, 0.0))
    assert [peer for peer, _ in scene.post.steps()[3:]] == [b"1"]
    first = dict(scene.post.steps()[:3])
    assert scene.post.steps()[3][1] is first[b"1"]


def test_the_next_round_is_sent_before_the_last_one_is_reported() -> None:
    scene = Scene()
    scene.begin(DENSE)
    scene.play(1)
    assert scene.written.lines[-4:] == ["step 2", "step 2", "step 2", "record 1"]
    assert (scene.written.records[0].bytes_out, scene.written.records[0].bytes_in) == (7, 5)


def test_a_record_waits_for_the_metrics_of_the_model_as_its_round_left_it() -> None:
    scene = Scene(rating=rated_in_two_pieces, evaluate_every_rounds=2)
    scene.begin(DENSE)
    scene.play(1)
    assert not scene.conductor.has_work
    scene.play(2)
    left = float(np.linalg.norm(scene.conductor.model))
    assert [r.round for r in scene.written.records] == [1]
    assert scene.conductor.has_work
    scene.conductor.work()
    assert scene.conductor.has_work
    scene.play(3)
    assert scene.written.lines.index("record 2") > scene.written.lines.index("step 3")
    assert scene.written.records[1].metrics == {"norm": left}
    # The last round is rated whatever its number, and nothing is left undone in the end.
    assert scene.conductor.finish is not None
    summary = scene.conductor.conclude(lambda: Usage(1 << 20, 2.5))
    assert [r.round for r in scene.written.records] == [1, 2, 3]
    assert summary.metrics == scene.written.records[2].metrics
    assert summary.metrics == {"norm": float(np.linalg.norm(scene.conductor.model))}
    assert (summary.rounds, summary.exit_code, summary.cpu_s) == (3, EXIT_OK, 2.5)
    assert scene.written.summary is summary


def test_a_peer_that_cannot_be_reached_is_not_waited_for() -> None:
    scene = Scene()
    scene.post.gone.add(b"1")
    scene.begin(DENSE)
    scene.answer(0, 1)
    scene.answer(2, 1)
    assert [a.slot for a in scene.written.records[0].arrivals] == [0, 2]


@pytest.mark.parametrize(
    "event",
    [
        Garbage(b"0", "malformed", "not msgpack"),
        Garbage(b"stranger", "malformed", "not msgpack"),
        Received(b"stranger", NeedTask(0, 0, 0)),
        Received(b"0", NeedTask(0, 9, 0)),
        Received(b"0", Ready(0, 2, 20, "made-up", None)),
        Received(b"0", Ready(0, 0, 20, "another store", None)),
        Received(b"0", Ready(0, 0, 20, "made-up", np.array([3, 3]))),
        Received(b"0", result(0, 9, np.ones(COLUMNS))),
        Received(b"0", result(0, 1, np.full(COLUMNS, np.nan))),
        Received(b"0", result(2, 1, np.ones(COLUMNS))),
    ],
)
def test_the_post_hears_once_of_every_message_that_was_refused(event: Garbage | Received) -> None:
    scene = Scene()
    scene.begin(DENSE)
    scene.conductor.handle(event)
    assert scene.post.nuisances == [event.peer]
    assert scene.machine.admission.refused.total() == 1


def test_what_was_turned_away_unread_is_counted_and_nobody_is_blamed() -> None:
    scene = Scene()
    scene.conductor.handle(TurnedAway("handshake-key"))
    scene.conductor.handle(Shutdown(True, "enough"))
    assert scene.post.nuisances == []
    assert scene.conductor.conclude(Usage).refused == {"handshake-key": 1}


def test_a_greeting_under_a_key_is_told_once() -> None:
    scene = Scene()
    hello = Hello(PROTOCOL_VERSION, "w0", "1", "host")
    for _ in range(2):
        scene.conductor.handle(Received(b"0", hello, "the-key"))
    told = [line for line in scene.written.lines if "key" in line]
    assert told == ["info: worker w0 came in under the key the-key"]


def test_rows_are_read_for_a_worker_that_asks() -> None:
    """Twenty rows a task, and seven a chunk."""
    scene = Scene()
    scene.begin(DENSE)
    (assign,) = [m for peer, m in scene.post.sent if peer == b"1" and isinstance(m, Assign)]
    (task,) = assign.tasks.tolist()
    for chunk in range(3):
        scene.say(1, NeedTask(0, task, chunk))
    chunks = [m for _, m in scene.post.sent if isinstance(m, Task)]
    assert [(c.epoch, c.task, c.chunk, c.chunks) for c in chunks] == [
        (0, task, i, 3) for i in range(3)
    ]
    (lo, hi) = assign.row_ranges[0]
    labels = np.concatenate([c.labels for c in chunks])
    np.testing.assert_array_equal(labels, some_rows().labels[lo:hi])


def test_checkpoints_are_taken_before_rounds_are_reported_and_the_last_one_at_the_end() -> None:
    keeper = Keeper()
    scene = Scene(keeper=keeper, rounds=2)
    scene.begin(DENSE)
    for round_ in (1, 2):
        scene.play(round_)
    scene.conductor.conclude(Usage)
    assert keeper.told == ["closed 1", "reported 1", "closed 2", "reported 2", "finish 2"]
    assert scene.written.lines[-1] == "checkpoint 2 kept"


def test_of_checkpoints_that_are_lost_in_a_row_the_first_is_told() -> None:
    keeper = Keeper()
    scene = Scene(keeper=keeper)
    keeper.waiting = [(1, "the disk is full"), (2, "the disk is full"), (3, None)]
    scene.conductor.tell_of_checkpoints()
    assert [line.partition(":")[0] for line in scene.written.lines] == [
        "error",
        "checkpoint 1 lost",
        "checkpoint 2 lost",
        "checkpoint 3 kept",
    ]
    assert "round 1: the disk is full" in scene.written.lines[0]


def test_of_a_flood_of_notices_a_part_is_told() -> None:
    scene = Scene(membership={"set_aside_after": 10**9})
    scene.begin(DENSE)
    before = len(scene.written.lines)
    for _ in range(3000):
        scene.conductor.handle(Garbage(b"0", "malformed", "not msgpack"))
    assert len(scene.written.lines) - before == 1000
