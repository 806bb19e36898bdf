"""Models that come as differences are added to the one before, and to no other."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from erasurehead.wire.messages import Hello, Ready, Result, Step
from erasurehead_worker.machine.actions import Action, Compute, Notice, Send
from erasurehead_worker.machine.events import Received, Woke
from erasurehead_worker.machine.machine import Phase, Worker
from tests.support.example_messages import ASSIGN, packed
from tests.worker.test_worker_machine import done, ready_worker, sent

TELLING = replace(ASSIGN, vector_format="f4", differences="f1")


def whole(round_: int, *values: float) -> Received:
    return Received(Step(0, round_, packed(values, "f8")))


def change(round_: int, *values: float) -> Received:
    return Received(Step(0, round_, packed(values, "f1")))


def asked(actions: list[Action]) -> list[float]:
    (compute,) = (action for action in actions if isinstance(action, Compute))
    return [float(value) for value in compute.theta]


def telling() -> Worker:
    return ready_worker(TELLING)


def test_a_difference_is_added_to_the_model_before() -> None:
    machine = telling()
    assert asked(machine.handle(whole(4, 1.0, 2.0, 3.0), 0.0)) == [1.0, 2.0, 3.0]
    (result,) = sent(machine.handle(done(4), 0.0))
    assert isinstance(result, Result)
    assert result.vectors[0].format == "f4"
    assert asked(machine.handle(change(5, 0.5, 0.0, -1.0), 0.0)) == [1.5, 2.0, 2.0]
    assert asked(machine.handle(change(6, 0.5, 0.0, -1.0), 0.0)) == [2.0, 2.0, 1.0]


def test_a_model_counts_though_its_round_was_given_up_in_its_delay() -> None:
    machine = ready_worker(replace(TELLING, delay="exponential:mean_s=1000"))
    machine.handle(whole(4, 1.0, 2.0, 3.0), 0.0)
    machine.handle(change(5, 1.0, 0.0, 0.0), 0.1)
    machine.handle(change(6, 1.0, 0.0, 0.0), 0.2)
    assert machine.phase is Phase.DELAYED
    assert asked(machine.handle(Woke(), 1e6)) == [3.0, 2.0, 3.0]


def test_without_the_model_before_it_greets_and_goes_on_when_it_is_told_all() -> None:
    """The master answers with ASSIGN, and whoever was given a slot is sent a whole model."""
    machine = telling()
    machine.handle(whole(4, 1.0, 2.0, 3.0), 0.0)
    machine.handle(done(4), 0.0)
    actions = machine.handle(change(6, 1.0, 0.0, 0.0), 0.1)
    assert [type(message) for message in sent(actions)] == [Hello]
    assert machine.phase is Phase.IDLE
    assert [type(message) for message in sent(machine.handle(Received(TELLING), 0.2))] == [Ready]
    assert asked(machine.handle(whole(6, 3.0, 2.0, 3.0), 0.3)) == [3.0, 2.0, 3.0]


def test_an_assignment_forgets_the_model() -> None:
    machine = telling()
    machine.handle(whole(4, 1.0, 2.0, 3.0), 0.0)
    machine.handle(Received(TELLING), 0.1)
    actions = machine.handle(change(5, 1.0, 0.0, 0.0), 0.2)
    assert [type(message) for message in sent(actions)] == [Hello]


def test_the_same_round_again_is_not_added_twice() -> None:
    machine = telling()
    machine.handle(whole(4, 1.0, 2.0, 3.0), 0.0)
    assert asked(machine.handle(change(5, 1.0, 0.0, 0.0), 0.1)) == [2.0, 2.0, 3.0]
    assert machine.handle(change(5, 1.0, 0.0, 0.0), 0.2) == []
    machine.handle(done(5), 0.3)
    assert asked(machine.handle(whole(5, 2.0, 2.0, 3.0), 0.4)) == [2.0, 2.0, 3.0]
    assert asked(machine.handle(change(6, 1.0, 0.0, 0.0), 0.5)) == [3.0, 2.0, 3.0]


def test_a_model_in_neither_format_is_said_and_left_alone() -> None:
    machine = telling()
    (notice,) = machine.handle(Received(Step(0, 4, packed(np.zeros(3), "f4"))), 0.0)
    assert isinstance(notice, Notice)
    assert "it is in vector format 'f4', not 'f1'" in notice.text
    plain = ready_worker()
    (notice,) = plain.handle(change(4, 1.0, 2.0, 3.0), 0.0)
    assert isinstance(notice, Notice)
    assert "it is in vector format 'f1', not 'f8'" in notice.text


def test_a_format_that_it_does_not_have_is_refused_by_name() -> None:
    machine = ready_worker()
    actions = machine.handle(Received(replace(ASSIGN, differences="f3")), 0.0)
    (goodbye,) = (action.message for action in actions if isinstance(action, Send))
    assert "unknown vector format 'f3'" in str(goodbye)
