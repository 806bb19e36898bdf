"""Workers that die, freeze, come back, come late or never, under the master's state machine."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from erasurehead.errors import EXIT_NO_WORKERS, EXIT_OK
from erasurehead.wire.messages import PROTOCOL_VERSION, Heartbeat, Hello
from erasurehead_master.machine.actions import SendStep
from erasurehead_master.machine.events import Departed, Received, Unreachable, Woke
from erasurehead_master.machine.rounds import NOBODY_LEFT
from erasurehead_simulator.virtual.timing import Timing
from tests.support.master_scene import (
    Virtual,
    reference_theta,
    result_of,
    running,
    start_all,
    theta_of,
)


def test_a_dead_worker_is_an_erasure(virtual: Virtual) -> None:
    """1. A worker dies in mid-round. 2. The round closes without it. 3. Training ends."""
    cluster = virtual(scheme="uncoded", workers=3, rounds=10, delay="exponential:mean_s=1", seed=1)
    start_all(cluster)
    victim = next(iter(cluster.workers.values()))
    cluster.clock.at(0.05, lambda: cluster.depart(victim))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert {r.reason for r in cluster.records} == {NOBODY_LEFT}
    assert all(0 not in [a.slot for a in r.arrivals] for r in cluster.records)
    assert all(r.erased_tasks == 1 for r in cluster.records)


def test_a_frozen_worker_is_given_up_after_the_silence_limit(virtual: Virtual) -> None:
    cluster = virtual(scheme="uncoded", workers=3, rounds=5, delay="exponential:mean_s=0.1")
    start_all(cluster)
    victim = next(iter(cluster.workers.values()))

    def freeze() -> None:
        victim.frozen = True

    cluster.clock.at(0.01, freeze)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert cluster.records[0].closed_s > 5.0
    assert "was silent for" in " ".join(n.text for n in cluster.notices)


def test_a_restarted_worker_takes_part_in_the_open_round(virtual: Virtual) -> None:
    """1. The only holder of a task dies. 2. A process of the same name comes: sent the round."""
    cluster = virtual(scheme="uncoded", workers=1, rounds=3, delay="exponential:mean_s=1")
    start_all(cluster)
    victim = next(iter(cluster.workers.values()))
    cluster.clock.at(0.01, lambda: cluster.depart(victim))
    cluster.clock.at(7.0, lambda: cluster.start("w0"))
    cluster.run()
    assert [r.round for r in cluster.records] == [1, 2, 3]
    np.testing.assert_allclose(theta_of(cluster), reference_theta(3), rtol=1e-10)


def test_spares_step_in(virtual: Virtual) -> None:
    cluster = virtual(scheme="uncoded", workers=2, rounds=4, delay="exponential:mean_s=1")
    start_all(cluster)
    cluster.start("spare")
    victim = next(iter(cluster.workers.values()))
    cluster.clock.at(0.3, lambda: cluster.depart(victim))
    cluster.run()
    np.testing.assert_allclose(theta_of(cluster), reference_theta(4), rtol=1e-10)


def test_a_cut_off_worker_is_sent_the_open_round_when_it_is_heard_again(virtual: Virtual) -> None:
    """The connection drops one STEP; the heartbeat that is behind brings it again."""
    cluster = virtual(scheme="uncoded", workers=2, rounds=3, delay="exponential:mean_s=0.1")
    start_all(cluster)
    victim = next(iter(cluster.workers.values()))

    def cut(on: bool) -> None:
        victim.cut = on

    cluster.clock.at(0.0, lambda: cut(False))
    cluster.run(until_s=0.01)
    cut(True)
    cluster.clock.at(3.0, lambda: cut(False))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    np.testing.assert_allclose(theta_of(cluster), reference_theta(3), rtol=1e-10)


def test_a_flood_of_heartbeats_is_not_answered_by_a_flood_of_models(virtual: Virtual) -> None:
    """A member that says it has no work is sent the open round again, but not each time."""
    cluster = running(virtual)
    peer = result_of(cluster).peer
    now = cluster.clock.now + 1.5
    sent = [
        action
        for i in range(100)
        for action in cluster.machine.handle(Received(peer, Heartbeat(0, 0.0)), now + i / 100)
        if isinstance(action, SendStep)
    ]
    assert len(sent) == 2, "one a half interval of heartbeats"


@pytest.mark.parametrize("lost_s", [0.05, 0.15], ids=["assign", "ready"])
def test_a_lost_assignment_or_readiness_comes_again(virtual: Virtual, lost_s: float) -> None:
    """A short cut takes ASSIGN, or the READY that answers it; the worker is heard all the time."""
    timing = Timing(message_s=lambda: 0.1)
    cluster = virtual(workers=2, scheme="uncoded", rounds=5, timing=timing)
    start_all(cluster)
    worker = next(iter(cluster.workers.values()))
    cluster.clock.at(lost_s, lambda: setattr(worker, "cut", True))
    cluster.clock.at(lost_s + 0.1, lambda: setattr(worker, "cut", False))
    cluster.run(until_s=30)
    assert cluster.finished is not None, "it waits for ever for somebody who is there"
    assert cluster.finished.exit_code == EXIT_OK
    assert len(cluster.records) == 5


def test_workers_of_one_name_are_told_of_once(virtual: Virtual) -> None:
    """Each takes the place of the one before it, and says so; the advice comes once a minute."""
    cluster = virtual(workers=2, scheme="uncoded")
    for seconds in (0.5, 1.0, 1.5):
        cluster.start("same")
        cluster.run(until_s=seconds)
    told = [n.text for n in cluster.notices if "call themselves same" in n.text]
    assert len(told) == 1
    assert "--name" in told[0]


def test_nobody_comes(virtual: Virtual) -> None:
    cluster = virtual(workers=3, scheme="uncoded", membership={"max_wait_s": 20})
    cluster.start("w0")
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_NO_WORKERS
    assert "only 1 of 3 workers were ready after 20 s" in cluster.finished.reason


@pytest.mark.parametrize(
    ("until_s", "where"), [(0.0, "before its first round"), (2.0, "in round 3")]
)
def test_the_last_one_goes_for_good(virtual: Virtual, until_s: float, where: str) -> None:
    cluster = virtual(workers=2, scheme="uncoded", timing=Timing(compute_s=lambda s, _: 0.8))
    cluster.start("w0")
    if until_s:
        cluster.start("w1")
        cluster.run(until_s=until_s)
    cluster.handle(Departed("w0", "ended with code 1", last=True))
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_NO_WORKERS
    assert cluster.finished.reason == (
        f"all workers of this run have ended, so it ends {where}; see above why they did"
    )


def test_everybody_goes(virtual: Virtual) -> None:
    """The run says so once, waits for its limit, and ends with its exit code."""
    cluster = virtual(workers=2, scheme="uncoded", delay="exponential:mean_s=1")
    start_all(cluster)
    for worker in list(cluster.workers.values()):
        cluster.clock.at(0.5, partial(cluster.depart, worker))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_NO_WORKERS
    assert 60.0 <= cluster.clock.now < 63.0
    assert sum("no worker is left" in n.text for n in cluster.notices) == 1


def test_a_run_starts_with_fewer_workers_after_the_wait(virtual: Virtual) -> None:
    cluster = virtual(
        workers=4,
        scheme="agc:c=2,r=3",
        rounds=5,
        membership={"min_workers": 2, "max_wait_s": 10},
    )
    cluster.start("w0")
    cluster.start("w1")
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert cluster.clock.now == pytest.approx(10.0, abs=1.5)


def test_the_least_number_of_workers_is_waited_for_longer(virtual: Virtual) -> None:
    """A pod that comes after a quarter of an hour finds its master waiting, not starting anew."""
    membership = {"min_workers": 1, "max_wait_s": 120, "empty_limit_s": 3600}
    cluster = virtual(workers=3, scheme="agc:c=1,r=1", rounds=5, membership=membership)
    cluster.run(until_s=900.0)
    words = [n.text for n in cluster.notices if "workers are ready" in n.text]
    assert words[0].startswith("0 of 3 workers are ready; waiting up to 11")
    assert "for all of them, and 3" in words[0]
    assert 3 <= len(words) <= 5
    assert cluster.finished is None
    cluster.start("w0")
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK


def test_nobody_is_waited_for_without_end(virtual: Virtual) -> None:
    membership = {"min_workers": 2, "max_wait_s": 10, "empty_limit_s": 300}
    cluster = virtual(workers=3, scheme="uncoded", membership=membership)
    cluster.start("w0")
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_NO_WORKERS
    assert "only 1 of 3 workers were ready after 300 s and 2 are needed" in cluster.finished.reason
    assert "empty_limit_s" in cluster.finished.reason


def test_a_peer_that_cannot_be_reached_misses_the_round_only(virtual: Virtual) -> None:
    cluster = running(virtual)
    peer = result_of(cluster).peer
    cluster.handle(Unreachable(peer))
    assert peer in cluster.machine.membership.members
    assert not cluster.machine.training.rounds.expects(0, 0)


@pytest.mark.parametrize("scheme", ["uncoded", "egc:c=2", "uncoded / first-copy / deadline"])
def test_a_pause_of_the_whole_machine_costs_nobody_a_slot(virtual: Virtual, scheme: str) -> None:
    """The lid of a laptop is shut for longer than every limit, whatever was going on."""
    scheme = scheme.replace("deadline", "deadline:after_s=3")
    cluster = virtual(
        scheme=scheme,
        workers=4,
        rounds=20,
        delay="exponential:mean_s=0.3",
        membership={"empty_limit_s": 7.0},
        timing=Timing(compute_s=lambda s, _: 0.2, message_s=lambda: 0.05),
    )
    start_all(cluster)
    for at in (0.01, 0.3, 1.1, 2.0, 3.3):
        cluster.clock.at(at, partial(cluster.clock.sleep, 9.0))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert all(r.erased_tasks == 0 for r in cluster.records)
    assert not any("silent" in n.text for n in cluster.notices if "silence" not in n.text)
    np.testing.assert_allclose(theta_of(cluster), reference_theta(20), rtol=1e-10)


def test_a_master_that_slept_alone_hears_what_was_said_before_it_judges(virtual: Virtual) -> None:
    cluster = running(virtual)
    gone = result_of(cluster, slot=1).peer
    cluster.workers[gone].kill()
    awake = cluster.clock.now
    cluster.machine.handle(Woke(), awake + 100.0)
    assert gone in cluster.machine.membership.members
    assert cluster.machine.handle(Unreachable(gone), awake + 100.0) == []
    assert cluster.machine.training.rounds.expects(1, 0), "it may only have to connect again"
    for tenth in range(1, 80):
        cluster.machine.handle(Woke(), awake + 100.0 + tenth / 10)
    assert gone not in cluster.machine.membership.members, "nor is it excused for ever"


def test_a_worker_that_greets_again_gets_the_slot_whose_rows_it_has(virtual: Virtual) -> None:
    """Two workers are forgotten (a new master); they ask in the other order."""
    cluster = running(virtual)
    peers = dict(cluster.machine.membership.ready_slots())
    for peer in peers.values():
        cluster.machine.membership.leave(peer)
    for slot in (1, 0):
        hello = Hello(PROTOCOL_VERSION, f"again{slot}", "1", "h", held=slot)
        cluster.handle(Received(b"new%d" % slot, hello))
    holders = cluster.machine.membership.holders
    assert [m.name for m in holders if m is not None] == ["again0", "again1"]
