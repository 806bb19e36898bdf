"""Signals, GOODBYE and HANDOVER: how runs and workers are asked to end."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.errors import EXIT_INTERRUPTED, EXIT_OK
from erasurehead.wire.messages import PROTOCOL_VERSION, Handover, Hello, Stop
from erasurehead_master.machine.actions import Send
from erasurehead_master.machine.events import Departed, Received, Shutdown
from erasurehead_master.machine.machine import Master
from erasurehead_simulator.virtual.timing import Timing
from erasurehead_worker.machine.events import Shutdown as WorkerShutdown
from tests.support.master_scene import (
    Virtual,
    reference_theta,
    result_of,
    running,
    start_all,
    theta_of,
)


def test_sigterm_finishes_the_round_and_ctrl_c_does_not(virtual: Virtual) -> None:
    cluster = running(virtual, membership={"drain_s": 60})
    cluster.handle(Shutdown(False, "asked to end by SIGTERM"))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert len(cluster.records) == 1
    cluster = running(virtual)
    cluster.handle(Shutdown(True, "asked to end by SIGINT"))
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_INTERRUPTED
    assert cluster.records == []


def test_who_is_asked_to_end_together_with_all_workers_ends_at_once(virtual: Virtual) -> None:
    """As by `docker compose down`: they leave before anybody has answered."""
    cluster = running(virtual)
    cluster.handle(Shutdown(False, "asked to end by SIGTERM"))
    assert cluster.finished is None
    for worker in list(cluster.workers.values()):
        cluster.depart(worker)
    cluster.run(until_s=cluster.clock.now + 0.01)
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert cluster.finished.reason == "asked to end by SIGTERM"
    # Or their ends are known before what they said.
    cluster = running(virtual)
    cluster.handle(Shutdown(False, "asked to end by SIGTERM"))
    cluster.handle(Departed("w0", "ended with code 0"))
    cluster.handle(Departed("w1", "ended with code 0", last=True))
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    # Who has an answer on its way into the round closes it.
    cluster = running(virtual)
    cluster.handle(result_of(cluster))
    cluster.handle(Shutdown(False, "asked to end by SIGTERM"))
    for worker in list(cluster.workers.values()):
        cluster.depart(worker)
    cluster.run(until_s=cluster.clock.now + 0.01)
    assert cluster.finished is not None
    assert (cluster.finished.exit_code, len(cluster.records)) == (EXIT_OK, 1)


def test_a_worker_that_drains_sends_its_result_and_its_spare_takes_over(virtual: Virtual) -> None:
    """No round is short of a task, though workers go one after another."""
    cluster = virtual(
        scheme="uncoded", workers=3, rounds=12, timing=Timing(compute_s=lambda s, _: 1.0)
    )
    start_all(cluster)
    cluster.start("spare0")
    cluster.start("spare1")
    first, second, *_ = cluster.workers.values()
    cluster.clock.at(2.5, lambda: first.deliver(WorkerShutdown("asked to end")))
    cluster.clock.at(4.5, lambda: second.deliver(WorkerShutdown("asked to end")))
    cluster.run()
    assert [w.exit.code for w in (first, second) if w.exit] == [EXIT_OK, EXIT_OK]
    assert len(cluster.records) == 12
    assert all(r.erased_tasks == 0 for r in cluster.records)
    assert [len(r.stragglers) for r in cluster.records] == [0] * 12
    assert all(r.duration_s == pytest.approx(1.0, abs=0.01) for r in cluster.records), "no wait"
    np.testing.assert_allclose(theta_of(cluster), reference_theta(12), rtol=1e-10)


def test_a_worker_that_drains_and_has_no_successor_is_counted_out_before_it_dies(
    virtual: Virtual,
) -> None:
    cluster = virtual(
        scheme="uncoded", workers=2, rounds=4, timing=Timing(compute_s=lambda s, _: 1.0)
    )
    start_all(cluster)
    leaver = next(iter(cluster.workers.values()))
    cluster.clock.at(1.5, lambda: leaver.deliver(WorkerShutdown("asked to end")))
    cluster.run()
    assert [len(r.arrivals) for r in cluster.records] == [2, 2, 1, 1]
    assert all(r.duration_s == pytest.approx(1.0, abs=0.01) for r in cluster.records), "no silence"


def test_a_round_that_does_not_end_is_given_up_some_time_after_sigterm(virtual: Virtual) -> None:
    """A member that only sends heartbeats keeps it open; a second SIGTERM is not needed."""
    cluster = virtual(
        scheme="uncoded",
        workers=2,
        rounds=9,
        membership={"drain_s": 3.0},
        timing=Timing(compute_s=lambda s, _: 1e6 if s and cluster.machine.round > 2 else 1.0),
    )
    start_all(cluster)
    cluster.run(until_s=20.0)
    cluster.handle(Shutdown(False, "asked to end by SIGTERM"))
    cluster.run(until_s=22.0)
    assert cluster.finished is None
    cluster.run(until_s=24.0)
    assert cluster.finished is not None
    assert (cluster.finished.exit_code, cluster.finished.rounds) == (EXIT_OK, 2)
    assert len(cluster.records) == 2


def test_a_second_sigterm_ends_the_run_in_order_at_once(virtual: Virtual) -> None:
    cluster = running(virtual)
    cluster.handle(Shutdown(False, "asked to end by SIGTERM"))
    cluster.handle(Shutdown(False, "asked to end by SIGTERM"))
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK


def test_workers_of_a_master_that_has_a_successor_go_on_with_that(virtual: Virtual) -> None:
    cluster = virtual(workers=2, scheme="uncoded", rounds=5)
    machine = Master(cluster.machine.plan, 0.0, succeeded=True)
    machine.handle(Received(b"a", Hello(PROTOCOL_VERSION, "a", "1", "h")), 0.0)
    actions = machine.handle(Shutdown(False, "asked to end by SIGTERM"), 1.0)
    assert Send(b"a", Handover("asked to end by SIGTERM")) in actions
    machine = Master(cluster.machine.plan, 0.0, succeeded=True)
    machine.handle(Received(b"a", Hello(PROTOCOL_VERSION, "a", "1", "h")), 0.0)
    actions = machine.handle(Shutdown(True, "asked to end by SIGINT"), 1.0)
    assert Send(b"a", Stop("finished", "asked to end by SIGINT")) in actions, "a user is there"
