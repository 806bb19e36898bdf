"""The worker's state machine on virtual time."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from erasurehead.errors import EXIT_INTERNAL, EXIT_MASTER_LOST, EXIT_OK, EXIT_REFUSED, EXIT_USAGE
from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    Assign,
    Drain,
    Goodbye,
    Handover,
    Heartbeat,
    Hello,
    NeedTask,
    Ready,
    Refuse,
    Register,
    Result,
    Step,
    Stop,
    Task,
)
from erasurehead.wire.vectors import FORMATS
from erasurehead.wire.vectors.base import Packed, Packer
from erasurehead.wire.vectors.f8 import F8
from erasurehead_worker.machine.actions import (
    Abandon,
    Action,
    Compute,
    Exit,
    Feed,
    Load,
    Notice,
    Send,
)
from erasurehead_worker.machine.events import (
    Event,
    Loaded,
    PartDone,
    Received,
    Shutdown,
    StoreUnreadable,
    Woke,
)
from erasurehead_worker.machine.machine import Phase, Worker
from tests.support.example_messages import ASSIGN, packed

SUPPORT = np.array([0, 2, 5])


def worker(retry_limit_s: float | None = None) -> Worker:
    hello = Hello(PROTOCOL_VERSION, "w", "1", "host")
    return Worker(hello, 0.0, np.random.default_rng(0), retry_limit_s)


def ready_worker(assign: Assign = ASSIGN) -> Worker:
    machine = worker()
    machine.handle(Woke(), 0.0)
    (load,) = machine.handle(Received(assign), 0.0)
    assert isinstance(load, Load)
    assert load.assign is assign
    machine.handle(Loaded(9, SUPPORT), 0.0)
    return machine


def step(round_: int) -> Received:
    return Received(Step(0, round_, packed(np.zeros(3))))


def done(round_: int, part: int = 0) -> PartDone:
    return PartDone(round_, part, [np.ones(3)], [1.0], 0.01)


def sent(actions: list[Action]) -> list[object]:
    return [a.message for a in actions if isinstance(a, Send)]


def wake_until(machine: Worker, kind: type[Action]) -> tuple[float, list[Action]]:
    """Wake a machine whenever it wants to be; return when it wants something of a kind, and all."""
    for _ in range(100):
        now = machine.wake_at
        actions = machine.handle(Woke(), now)
        if any(isinstance(action, kind) for action in actions):
            return now, actions
    raise AssertionError(f"no {kind.__name__} in a hundred wake-ups")


@pytest.mark.parametrize(
    ("assign", "words"),
    [
        (
            replace(ASSIGN, model="logistics"),
            r"unknown model 'logistics' \(did you mean 'logistic'\?\)",
        ),
        (replace(ASSIGN, model="logistic:classes=3"), "model 'logistic' has no option 'classes'"),
        (
            replace(ASSIGN, n_parameters=18),
            "master's logistic has 18 parameters, and this worker's 6",
        ),
    ],
)
def test_a_model_that_it_does_not_have_is_refused_by_name(assign: Assign, words: str) -> None:
    """The worker says so to the master, and ends: rows would not help it."""
    machine = worker()
    machine.handle(Woke(), 0.0)
    goodbye, ending = machine.handle(Received(assign), 0.0)
    assert isinstance(goodbye, Send)
    assert isinstance(goodbye.message, Goodbye)
    assert re.search(words, goodbye.message.reason)
    assert isinstance(ending, Exit)
    assert ending.code == EXIT_USAGE


def test_it_greets_with_growing_pauses_until_it_is_assigned() -> None:
    machine = worker()
    times = []
    now = 0.0
    for _ in range(8):
        now = machine.wake_at
        assert isinstance(sent(machine.handle(Woke(), now))[0], Hello)
        times.append(now)
    pauses = np.diff(times)
    assert pauses[0] < 0.5
    assert pauses[-1] > 3.0
    assert max(pauses) <= 5.0 * 1.25
    machine.handle(Received(ASSIGN), now)
    assert machine.phase is Phase.LOADING


def test_a_round_without_delay() -> None:
    """STEP, compute, RESULT; then idle."""
    machine = ready_worker()
    (compute,) = machine.handle(step(1), 1.0)
    assert isinstance(compute, Compute)
    (result,) = sent(machine.handle(done(1), 1.2))
    assert isinstance(result, Result)
    assert (result.round, result.slot, result.compute_s) == (1, 1, 0.01)
    assert machine.phase is Phase.IDLE


def test_a_delay_is_waited_for_and_given_up_for_a_newer_round() -> None:
    """1. Round 1 is delayed. 2. Round 2 comes first: round 1 is never computed."""
    machine = ready_worker(replace(ASSIGN, delay="exponential:mean_s=10"))
    assert machine.handle(step(1), 0.0) == []
    assert machine.phase is Phase.DELAYED
    first = machine.handle(step(2), 0.1)
    assert first == [Abandon()]
    until, actions = wake_until(machine, Compute)
    assert until > 0.1
    (compute,) = [a for a in actions if isinstance(a, Compute)]
    assert compute.round == 2
    (result,) = sent(machine.handle(done(2), until))
    assert isinstance(result, Result)
    assert result.delay_s == pytest.approx(until - 0.1)


def test_a_newer_round_replaces_one_being_computed() -> None:
    machine = ready_worker()
    machine.handle(step(1), 0.0)
    abandon, compute = machine.handle(step(2), 0.0)
    assert abandon == Abandon()
    assert isinstance(compute, Compute)
    assert machine.handle(done(1), 0.0) == [], "the old round's gradient is not sent"
    assert machine.abandoned == 1


def test_older_and_repeated_rounds_are_ignored() -> None:
    machine = ready_worker()
    machine.handle(step(5), 0.0)
    assert machine.handle(step(5), 0.0) == []
    assert machine.handle(step(4), 0.0) == []


def test_a_round_whose_result_was_lost_is_done_again() -> None:
    """1. Round 5 is done. 2. The idle heartbeat says so. 3. The master sends it again."""
    machine = ready_worker()
    machine.handle(step(5), 0.0)
    machine.handle(done(5), 0.0)
    (beat,) = sent(machine.handle(Woke(), machine.wake_at))
    assert isinstance(beat, Heartbeat)
    assert beat.round == 0
    assert isinstance(machine.handle(step(5), 1.0)[0], Compute)


def test_it_beats_while_it_computes() -> None:
    machine = ready_worker()
    machine.handle(step(1), 0.0)
    assert machine.wake_at == pytest.approx(1.0)
    (beat,) = sent(machine.handle(Woke(), 1.0))
    assert isinstance(beat, Heartbeat)
    assert beat.round == 1


def test_it_greets_a_silent_master_again_and_keeps_its_rows() -> None:
    """1. Nothing is heard for the silence limit. 2. HELLO. 3. The same place: READY at once."""
    machine = ready_worker()
    messages: list[object] = []
    now = 0.0
    while now < 5.0:
        now = machine.wake_at
        messages += sent(machine.handle(Woke(), now))
    assert any(isinstance(m, Hello) for m in messages)
    (again,) = sent(machine.handle(Received(ASSIGN), now))
    assert isinstance(again, Ready)
    # A restarted master may be at an earlier round than this worker has seen.
    assert isinstance(machine.handle(step(1), now)[0], Compute)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASSIGN, row_ranges=np.array([[0, 4], [5, 9]])),
        replace(ASSIGN, batch=0.5),
        replace(ASSIGN, batch_seed=1),
    ],
)
def test_other_rows_are_loaded_anew(other: Assign) -> None:
    machine = ready_worker()
    (load,) = machine.handle(Received(other), 0.0)
    assert isinstance(load, Load)
    assert load.assign is other
    assert machine.handle(step(1), 0.0) == [], "not before the rows are there"


def test_register_makes_it_greet() -> None:
    machine = ready_worker()
    (hello,) = sent(machine.handle(Received(Register()), 1.0))
    assert isinstance(hello, Hello)


def test_a_round_of_a_rebuilt_code_that_it_was_not_told_of_makes_it_greet() -> None:
    machine = ready_worker()
    newer = Step(1, 5, packed(np.zeros(3)))
    (hello,) = sent(machine.handle(Received(newer), 1.0))
    assert isinstance(hello, Hello)
    machine = ready_worker(replace(ASSIGN, epoch=2))
    assert machine.handle(Received(newer), 1.0) == []


def test_rows_are_streamed_when_the_store_cannot_be_read() -> None:
    """Two tasks, the first in two chunks; a lost chunk is asked for again."""
    machine = worker()
    machine.handle(Woke(), 0.0)
    machine.handle(Received(ASSIGN), 0.0)
    (ask,) = sent(machine.handle(StoreUnreadable("no such directory"), 0.0))
    assert ask == NeedTask(0, 0, 0)

    def chunk(task: int, number: int, of: int) -> Received:
        one = np.array([0, 1])
        return Received(Task(0, task, number, of, one, np.array([2]), np.array([1.0])))

    assert machine.handle(chunk(1, 0, 1), 0.0) == [], "not the one that was asked for"
    assert sent(machine.handle(Received(ASSIGN), 0.0)) == [ask], "told the same place again"
    assert sent(wake_until(machine, Send)[1]) == [Heartbeat(0, 0.0)]
    again_at, actions = wake_until(machine, Send)
    while ask not in sent(actions):
        again_at, actions = wake_until(machine, Send)
    assert again_at == ASSIGN.silence_limit_s
    feed, again = machine.handle(chunk(0, 0, 2), 6.0)
    assert isinstance(feed, Feed)
    assert not feed.last
    assert sent([again]) == [NeedTask(0, 0, 1)]
    assert sent(machine.handle(chunk(0, 1, 2), 6.0)) == [NeedTask(0, 1, 0)]
    (last,) = machine.handle(chunk(1, 0, 1), 6.0)
    assert isinstance(last, Feed)
    assert last.last
    assert isinstance(sent(machine.handle(Loaded(2, SUPPORT), 6.0))[0], Ready)


def test_streamed_rows_that_cannot_be_used_end_the_worker() -> None:
    """They would come again as they are; the master is told why before the worker leaves."""
    machine = worker()
    machine.handle(Woke(), 0.0)
    machine.handle(Received(ASSIGN), 0.0)
    machine.handle(StoreUnreadable("no such directory"), 0.0)
    actions = machine.handle(StoreUnreadable("column indices from 0 to 99"), 1.0)
    reason = "the rows that the master sent cannot be used: column indices from 0 to 99"
    assert sent(actions) == [Goodbye(reason)]
    assert actions[-1] == Exit(EXIT_INTERNAL, reason)
    assert machine.phase is Phase.EXITED


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (Stop("finished", "done"), EXIT_OK),
        (Stop("replaced", "a newer one came"), EXIT_OK),
        (Stop("set-aside", "3 wrong messages"), EXIT_REFUSED),
        (Refuse("wrong-version", "speak 1"), EXIT_REFUSED),
    ],
)
def test_how_it_ends(message: Stop | Refuse, code: int) -> None:
    machine = ready_worker()
    machine.handle(step(1), 0.0)
    assert machine.handle(Received(message), 0.0) == [Exit(code, message.reason)]
    assert machine.handle(Woke(), 99.0) == []


def test_it_says_goodbye_when_asked_to_end() -> None:
    goodbye, leave = ready_worker().handle(Shutdown("asked to end"), 0.0)
    assert sent([goodbye]) == [Goodbye("asked to end")]
    assert leave == Exit(EXIT_OK, "asked to end", asked=True)


def test_rows_whose_support_the_master_would_not_take_end_the_worker_with_both_numbers() -> None:
    machine = worker()
    machine.handle(Woke(), 0.0)
    machine.handle(Received(replace(ASSIGN, max_frame_bytes=16)), 0.0)
    actions = machine.handle(Loaded(9, SUPPORT), 0.0)
    (goodbye,) = sent(actions)
    assert isinstance(goodbye, Goodbye)
    assert "24 bytes, and the master takes frames of 16" in goodbye.reason
    leave = actions[-1]
    assert isinstance(leave, Exit)
    assert leave.code == EXIT_USAGE


def drains(machine: Worker, now: float) -> Drain:
    (drain,) = sent(machine.handle(Shutdown("asked to end"), now))
    assert isinstance(drain, Drain)
    machine.validate()
    return drain


def test_it_sends_the_result_at_hand_before_it_ends() -> None:
    machine = ready_worker()
    machine.handle(step(1), 0.0)
    assert drains(machine, 0.5).within_s == pytest.approx(5.0)
    result, goodbye, leave = machine.handle(done(1), 0.6)
    assert isinstance(sent([result])[0], Result)
    assert sent([goodbye]) == [Goodbye("asked to end")]
    assert leave == Exit(EXIT_OK, "asked to end", asked=True)


@pytest.mark.parametrize(
    "event",
    [
        Shutdown("asked to end"),
        Shutdown("asked to end", at_once=True),
        Received(Step(0, 2, packed([0.0, 0.0, 0.0]))),
        Received(Register()),
        Received(ASSIGN),
        Received(Handover("the master ends, too")),
    ],
)
def test_a_result_that_is_of_no_use_any_more_keeps_nobody(event: Event) -> None:
    machine = ready_worker()
    machine.handle(step(1), 0.0)
    drains(machine, 0.5)
    assert machine.handle(step(1), 0.5) == [], "the round at hand"
    goodbye, leave = machine.handle(event, 0.6)
    assert sent([goodbye]) == [Goodbye("asked to end")]
    assert isinstance(leave, Exit)


def test_it_drains_no_longer_than_it_may() -> None:
    machine = ready_worker()
    machine.handle(step(1), 0.0)
    drains(machine, 0.5)
    now = 0.5
    actions: list[Action] = []
    while machine.phase is not Phase.EXITED:
        now = machine.wake_at
        actions = machine.handle(Woke(), now)
    assert now == pytest.approx(5.5)
    assert sent(actions) == [Goodbye("asked to end")]


def test_ctrl_c_ends_it_at_once() -> None:
    machine = ready_worker()
    machine.handle(step(1), 0.0)
    goodbye, leave = machine.handle(Shutdown("asked to end", at_once=True), 0.5)
    assert sent([goodbye]) == [Goodbye("asked to end")]
    assert isinstance(leave, Exit)


def test_it_looks_for_the_master_s_successor_and_keeps_its_rows() -> None:
    machine = ready_worker()
    machine.handle(step(1), 0.0)
    actions = machine.handle(Received(Handover("asked to end by SIGTERM")), 0.5)
    assert not any(isinstance(a, Exit) for a in actions)
    assert Abandon() in actions
    machine.validate()
    assert machine.wake_at == pytest.approx(0.75)
    (hello,) = sent(machine.handle(Woke(), 0.75))
    assert isinstance(hello, Hello)
    assert hello.held == ASSIGN.slot
    assert isinstance(sent(machine.handle(Received(ASSIGN), 3.0))[0], Ready)


def test_it_gives_up_after_its_limit_only_when_it_has_one() -> None:
    limited = worker(retry_limit_s=3.0)
    actions: list[Action] = []
    now = 0.0
    while not any(isinstance(a, Exit) for a in actions):
        now = limited.wake_at
        actions = limited.handle(Woke(), now)
    assert now == pytest.approx(3.0)
    leave = actions[-1]
    assert isinstance(leave, Exit)
    assert leave.code == EXIT_MASTER_LOST
    patient = worker()
    for _ in range(1000):
        now = patient.wake_at
        assert not any(isinstance(a, Exit) for a in patient.handle(Woke(), now))


def test_its_own_sleep_is_not_the_master_s_silence() -> None:
    limited = worker(retry_limit_s=3.0)
    limited.handle(Woke(), 0.0)
    actions = limited.handle(Woke(), 60.0)
    assert [type(message) for message in sent(actions)] == [Hello]
    gave_up_at, _ = wake_until(limited, Exit)
    assert 2.0 < gave_up_at - 60.0 <= 3.0
    ready = ready_worker()
    actions = ready.handle(Woke(), 60.0)
    assert [type(message) for message in sent(actions)] == [Heartbeat]


@pytest.mark.parametrize("name", list(FORMATS))
def test_models_come_and_results_go_in_the_format_of_the_run(name: str) -> None:
    machine = ready_worker(replace(ASSIGN, vector_format=name))
    values = np.array([0.5, -1.0, 0.25])
    (compute,) = machine.handle(Received(Step(0, 1, packed(values, name))), 0.0)
    assert isinstance(compute, Compute)
    format = FORMATS.build(name)
    np.testing.assert_allclose(compute.theta, values, rtol=0.0, atol=format.relative_error)
    (result,) = sent(machine.handle(done(1), 0.0))
    assert isinstance(result, Result)
    (vector,) = result.vectors
    assert vector.format == name
    assert format.unpack(vector).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (packed(np.zeros(4)), "a model of 4 values came, 3 are needed"),
        (packed(np.zeros(3), "f4"), "it is in vector format 'f4', not 'f8'"),
        (Packed("f8", 3, ()), "its arrays are no vector in format 'f8'"),
    ],
)
def test_a_model_it_cannot_read_is_said_and_left_alone(model: Packed, words: str) -> None:
    machine = ready_worker()
    (notice,) = machine.handle(Received(Step(0, 1, model)), 0.0)
    assert isinstance(notice, Notice)
    assert words in notice.text
    assert machine.phase is Phase.IDLE


class Counted(F8):
    """Sends with each vector how many its sender has packed of the same kind."""

    name = "counted"

    def packer(self, rng: np.random.Generator) -> Packer:
        return Counter(self, rng)


class Counter(Packer):
    """Remembers how often it was asked."""

    packed = 0

    def pack(self, values: np.ndarray) -> Packed:
        self.packed += 1
        return Packed("counted", len(values), (np.array([self.packed]),))


def test_each_vector_of_each_part_has_a_packer_of_its_own_until_the_next_assignment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(FORMATS, "_entries", {**FORMATS._entries, "counted": Counted})
    assign = replace(
        ASSIGN,
        vector_format="counted",
        coefficients=np.ones((2, 2, 2)),
        delay_shares=np.array([1.0, 0.0]),
    )
    machine = ready_worker(assign)

    def counts(round_: int) -> list[int]:
        machine.handle(Received(Step(0, round_, Packed("counted", 3, (np.zeros(3),)))), 0.0)
        parts = [PartDone(round_, p, 2 * [np.ones(3)], [1.0, 1.0], 0.0) for p in (0, 1)]
        found: list[int] = []
        for part in parts:
            result = sent(machine.handle(part, 0.0))[0]
            assert isinstance(result, Result)
            found += [int(v.arrays[0][0]) for v in result.vectors]
        return found

    assert counts(1) == [1, 1, 1, 1]
    assert counts(2) == [2, 2, 2, 2]
    machine.handle(Received(replace(assign, epoch=0)), 0.0)
    assert counts(3) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("assign", "words"),
    [
        (replace(ASSIGN, delay="nap"), "unknown delay model 'nap'"),
        (replace(ASSIGN, vector_format="f3"), "unknown vector format 'f3'"),
        (replace(ASSIGN, model="net"), "unknown model 'net'"),
    ],
)
def test_a_part_it_does_not_know_is_said(assign: Assign, words: str) -> None:
    machine = worker()
    machine.handle(Woke(), 0.0)
    goodbye, leave = machine.handle(Received(assign), 0.0)
    assert isinstance(goodbye, Send)
    assert isinstance(goodbye.message, Goodbye)
    assert words in goodbye.message.reason
    assert "--plugin" in goodbye.message.reason
    assert isinstance(leave, Exit)
    assert leave.code == EXIT_USAGE


def test_a_result_of_two_parts_is_sent_part_by_part() -> None:
    parts = {"coefficients": np.ones((2, 1, 2)), "delay_shares": np.array([1.0, 0.0])}
    machine = ready_worker(replace(ASSIGN, **parts))
    machine.handle(step(1), 0.0)
    then = machine.handle(done(1, 0), 0.0)
    (first,) = sent(then)
    assert isinstance(then[-1], Compute)
    assert then[-1].part == 1
    between = machine.phase
    (second,) = sent(machine.handle(done(1, 1), 0.0))
    assert isinstance(first, Result)
    assert isinstance(second, Result)
    assert (first.part, second.part) == (0, 1)
    assert (between, machine.phase) == (Phase.COMPUTING, Phase.IDLE)


THREE_TASKS = replace(
    ASSIGN,
    delay="persistent:fraction=1,slow_s=3",
    heartbeat_interval_s=60.0,
    silence_limit_s=300.0,
    coefficients=np.eye(3)[:, np.newaxis],
    delay_shares=np.full(3, 1 / 3),
)


def test_a_delay_passes_evenly_over_tasks_that_are_sent_one_by_one() -> None:
    machine = ready_worker(THREE_TASKS)
    machine.handle(step(1), 0.0)
    now = 0.0
    for part in range(3):
        assert machine.phase is Phase.DELAYED
        assert machine.wake_at == now + 1.0
        now = machine.wake_at
        (compute,) = machine.handle(Woke(), now)
        assert isinstance(compute, Compute)
        assert (compute.round, compute.part) == (1, part)
        now += 0.25
        (result,) = sent(machine.handle(done(1, part), now))
        assert isinstance(result, Result)
        assert (result.part, result.delay_s) == (part, 1.0)
        machine.validate()
    assert machine.phase is Phase.IDLE
    assert machine.abandoned == 0


@pytest.mark.parametrize("while_delayed", [True, False])
def test_a_newer_round_cuts_the_tasks_that_are_left(while_delayed: bool) -> None:
    """What was sent is sent; the newer round begins with the first task again."""
    machine = ready_worker(THREE_TASKS)
    machine.handle(step(1), 0.0)
    machine.handle(Woke(), 1.0)
    assert len(sent(machine.handle(done(1, 0), 1.0))) == 1
    if not while_delayed:
        machine.handle(Woke(), 2.0)
    assert isinstance(machine.handle(step(2), 2.5)[0], Abandon)
    assert machine.abandoned == 1
    assert machine.handle(done(1, 1), 2.6) == [], "a part of the old round is not sent"
    (compute,) = machine.handle(Woke(), 3.5)
    assert isinstance(compute, Compute)
    assert (compute.round, compute.part) == (2, 0)


def test_a_worker_that_is_asked_to_end_sends_all_its_tasks_first() -> None:
    machine = ready_worker(replace(THREE_TASKS, delay="none"))
    machine.handle(step(1), 0.0)
    machine.handle(Shutdown("asked to end"), 0.1)
    for part in range(2):
        machine.handle(done(1, part), 0.2)
        assert machine.phase is Phase.COMPUTING
    *_, leave = machine.handle(done(1, 2), 0.3)
    assert isinstance(leave, Exit)


EVENTS = st.lists(
    st.one_of(
        st.integers(1, 6).map(step),
        st.integers(1, 6).map(done),
        st.sampled_from(
            [
                Woke(),
                Received(ASSIGN),
                Received(replace(ASSIGN, epoch=1, slot=0)),
                Received(replace(ASSIGN, delay="exponential:mean_s=1")),
                Received(Register()),
                Received(Heartbeat(3, 0.0)),
                Loaded(9, SUPPORT),
                StoreUnreadable("gone"),
            ]
        ),
    ),
    max_size=40,
)


@given(EVENTS, st.floats(0.0, 3.0))
def test_whatever_comes_the_invariants_hold(events: list[Event], pause_s: float) -> None:
    """Any events in any order, as a shell could deliver them."""
    machine = worker()
    machine.handle(Woke(), 0.0)
    now = 0.0
    loading = computing = False
    for event in events:
        now += pause_s
        if isinstance(event, Loaded | StoreUnreadable) and not loading:
            continue
        if isinstance(event, PartDone) and not computing:
            continue
        actions = machine.handle(event, now)
        machine.validate()
        for action in actions:
            if isinstance(action, Load):
                loading, computing = True, False
            elif isinstance(action, Compute):
                computing = True
            elif isinstance(action, Abandon):
                computing = False
            elif isinstance(action, Send) and isinstance(action.message, Result):
                assert action.message.round == machine.round
        if isinstance(event, Loaded | StoreUnreadable):
            loading = False
        if machine.phase is not Phase.EXITED:
            assert machine.wake_at < now + 100


def test_a_spare_has_a_place_with_and_without_rows_until_no_master_answers() -> None:
    never, before = worker(), ready_worker()
    never.handle(Woke(), 0.0)
    assert not never.placed
    for machine in (never, before):
        machine.handle(Received(Heartbeat(3, 0.0)), 0.1)
        assert machine.placed
    now = 0.1
    while now < 20.0 and never.placed:
        now = never.wake_at
        never.handle(Woke(), now)
    assert 5.0 < now < 12.0
    never.handle(Received(Heartbeat(4, 0.0)), now)
    assert never.placed
    never.handle(Received(Stop("finished", "all rounds done")), now)
    assert not never.placed
