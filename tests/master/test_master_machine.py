"""The master's state machine with real workers' state machines, on virtual time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy.stats import chisquare

from erasurehead.errors import EXIT_INTERRUPTED, EXIT_NO_WORKERS, EXIT_OK
from erasurehead.straggling import DELAYS
from erasurehead.wire.messages import (
    PROTOCOL_VERSION,
    Handover,
    Heartbeat,
    Hello,
    Refuse,
    Result,
    Step,
    Stop,
    ToMaster,
    ToWorker,
)
from erasurehead.wire.vectors.base import Packed
from erasurehead_master.machine.actions import Finish, Send, SendStep
from erasurehead_master.machine.events import (
    Departed,
    Event,
    Garbage,
    Received,
    Shutdown,
    Stepped,
    Unreachable,
    Woke,
)
from erasurehead_master.machine.machine import EVENTS, MESSAGES, Master
from erasurehead_master.machine.rounds import NOBODY_LEFT
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from erasurehead_simulator.virtual.worker import VirtualWorker
from erasurehead_worker.machine.events import Shutdown as WorkerShutdown
from tests.support.example_messages import packed
from tests.support.grouped import groups_of
from tests.support.virtual_run import COLUMNS, make_virtual, some_rows

Virtual = Callable[..., VirtualCluster]


def start_all(cluster: VirtualCluster) -> None:
    for i in range(cluster.machine.plan.code.n_workers):
        cluster.start(f"w{i}", i)


def reference_theta(rounds: int, step: float = 0.5) -> np.ndarray:
    """Plain gradient descent on all rows in one place."""
    rows = some_rows()
    x = np.zeros((len(rows.labels), COLUMNS))
    for i in range(len(rows.labels)):
        x[i, rows.indices[3 * i : 3 * i + 3]] = 1.0
    theta = np.zeros(COLUMNS)
    for _ in range(rounds):
        theta = theta - step * x.T @ (x @ theta - rows.labels) / len(rows.labels)
    return theta


def theta_of(cluster: VirtualCluster) -> np.ndarray:
    return np.array(cluster.conductor.model)


@pytest.mark.parametrize("scheme", ["uncoded", "egc:c=3", "egc:c=2", "agc:c=3,r=6"])
def test_exact_schemes_equal_one_process(virtual: Virtual, scheme: str) -> None:
    """With r = k the approximate scheme is exact as well."""
    cluster = virtual(scheme=scheme, workers=6, rounds=20)
    start_all(cluster)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert [r.round for r in cluster.records] == list(range(1, 21))
    np.testing.assert_allclose(theta_of(cluster), reference_theta(20), rtol=1e-10, atol=1e-13)
    assert all(r.decode_error < 1e-20 for r in cluster.records)


def test_a_round_closes_at_the_rth_arrival_and_the_next_opens_at_once(virtual: Virtual) -> None:
    """Delays are known from the seed, so every opening time is."""
    cluster = virtual(
        scheme="uncoded:r=4", workers=6, rounds=30, delay="exponential:mean_s=1", seed=5
    )
    start_all(cluster)
    cluster.run()
    delays = DELAYS.build("exponential:mean_s=1", 6, 5)
    for record in cluster.records:
        drawn = np.sort(delays.delays_s(record.round, 1 / 6))
        assert record.closed_s - record.opened_s == pytest.approx(drawn[3], abs=1e-9)
        assert [a.after_s for a in record.arrivals] == pytest.approx(drawn[:4], abs=1e-9)
        assert len(record.stragglers) == 2
    opened = [r.opened_s for r in cluster.records[1:]]
    assert opened == [r.closed_s for r in cluster.records[:-1]]


def test_delays_are_the_same_for_every_scheme(virtual: Virtual) -> None:
    """A slot's delay in a round does not depend on what the others wait for."""
    seen: dict[str, dict[tuple[int, int], float]] = {}
    for scheme in ("uncoded", "egc:c=3", "agc:c=3,r=4"):
        cluster = virtual(scheme=scheme, workers=6, rounds=10, delay="exponential:mean_s=1")
        start_all(cluster)
        cluster.run()
        seen[scheme] = {(r.round, a.slot): a.delay_s for r in cluster.records for a in r.arrivals}
    for other in ("egc:c=3", "agc:c=3,r=4"):
        common = seen["uncoded"].keys() & seen[other].keys()
        assert common
        assert all(seen["uncoded"][key] == seen[other][key] for key in common)


def test_equal_workers_are_erased_equally_often(virtual: Virtual) -> None:
    """Sends are staggered, so whoever is sent the model last answers last.

    Without a fresh order every round the same groups would always be covered. With it the
    coverage of each of the ten groups is uniform (chi-square, fixed seed).
    """
    cluster = virtual(
        scheme="agc:c=3,r=11",
        workers=30,
        rounds=1500,
        step="0.01",
        timing=Timing(compute_s=lambda slot, part: 0.01, send_s=0.001),
        checked=False,  # others look at the invariants; here are only counts
    )
    start_all(cluster)
    cluster.run()
    code = cluster.machine.plan.code
    covered = np.zeros(10)
    for record in cluster.records:
        groups = {int(groups_of(code).of_symbol[a.slot]) for a in record.arrivals}
        covered[list(groups)] += 1
    expected_share = 1 - 0.23867  # Lemma 2 at (30, 30, 3, 11)
    assert covered.mean() / 1500 == pytest.approx(expected_share, abs=0.01)
    assert chisquare(covered).pvalue > 0.01


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


def running(virtual: Virtual, **settings: object) -> VirtualCluster:
    """Return a cluster in the middle of its first round."""
    settings = {"workers": 2, "scheme": "uncoded", "delay": "exponential:mean_s=9", **settings}
    cluster = virtual(**settings)
    start_all(cluster)
    cluster.run(until_s=0.001)
    assert cluster.machine.training.rounds.is_open
    return cluster


def result_of(
    cluster: VirtualCluster, slot: int = 0, vectors: tuple[Packed, ...] | None = None
) -> Received:
    support = cluster.machine.training.supports[slot]
    width = COLUMNS if support is None else len(support)
    if vectors is None:
        vectors = (packed(np.ones(width), cluster.machine.plan.format_spec),)
    result = Result(
        epoch=0,
        round=1,
        slot=slot,
        part=0,
        vectors=vectors,
        loss=[1.0],
        compute_s=0.0,
        delay_s=0.0,
    )
    peer = next(p for s, p in cluster.machine.membership.ready_slots() if s == slot)
    return Received(peer, result)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"slot": 1}, "wrong-slot"),
        ({"epoch": 3}, "wrong-slot"),
        ({"round": 9}, "wrong-shape"),
        ({"round": 0}, "wrong-shape"),
        ({"part": 1}, "wrong-shape"),
        ({"vectors": (packed(np.ones(3)),)}, "wrong-shape"),
        ({"vectors": (packed(np.ones(COLUMNS)),) * 2}, "wrong-shape"),
        ({"vectors": (Packed("f8", 10**18, ()),)}, "wrong-shape"),
        ({"vectors": (packed(np.ones(COLUMNS), "f4"),)}, "wrong-format"),
        ({"vectors": (Packed("mystery", COLUMNS, ()),)}, "wrong-format"),
        ({"vectors": (Packed("f8", COLUMNS, packed(np.ones(3)).arrays),)}, "wrong-format"),
        ({"loss": [1.0, 1.0]}, "wrong-shape"),
        ({"vectors": (packed(np.full(COLUMNS, np.nan)),)}, "non-finite"),
        ({"loss": [float("inf")]}, "non-finite"),
        # One such number in the sum of all losses would look like divergence.
        ({"loss": [1e200]}, "non-finite"),
        ({"loss": [-1e150]}, "non-finite"),
    ],
)
def test_wrong_results_are_refused_and_counted(
    virtual: Virtual, changes: dict[str, object], reason: str
) -> None:
    cluster = running(virtual)
    event = result_of(cluster)
    (good,) = [event.message]
    fields = {name: getattr(good, name) for name in Result.__struct_fields__} | changes
    cluster.handle(Received(event.peer, Result(**fields)))
    assert cluster.machine.admission.refused == {reason: 1}
    assert cluster.machine.training.rounds.n_arrived == 0


def test_a_second_result_of_a_round_is_a_duplicate(virtual: Virtual) -> None:
    cluster = running(virtual, workers=3)
    for slot in (0, 0, 1, 1, 0):
        cluster.handle(result_of(cluster, slot))
    assert cluster.machine.admission.refused == {"duplicate": 3}
    assert cluster.machine.training.rounds.n_arrived == 2


def test_a_worker_that_keeps_sending_nan_is_set_aside(virtual: Virtual) -> None:
    """1. Three wrong results. 2. STOP. 3. Its HELLO is refused from then on.

    4. Another process may have its name.
    """
    cluster = running(virtual)
    peer = result_of(cluster).peer
    for _ in range(3):
        cluster.handle(result_of(cluster, vectors=(packed(np.full(COLUMNS, np.nan)),)))
    assert list(cluster.machine.membership.set_aside) == [peer]
    assert peer not in cluster.machine.membership.members
    cluster.run(until_s=cluster.clock.now + 0.001)
    (exit_,) = [w.exit for w in cluster.workers.values() if w.exit]
    assert exit_.code == 5
    cluster.handle(Received(peer, Hello(PROTOCOL_VERSION, "w0", "1", "h")))
    assert cluster.machine.admission.refused["set-aside"] == 1
    cluster.handle(Received(b"new", Hello(PROTOCOL_VERSION, "w0", "1", "h")))
    assert cluster.machine.admission.refused["set-aside"] == 1
    assert cluster.machine.membership.members[b"new"].name == "w0"


def test_where_there_are_keys_a_ban_is_on_the_key(virtual: Virtual) -> None:
    """Its holder takes each name there is; none of them is lost for others."""
    machine = virtual(workers=3, scheme="uncoded").machine
    for i in range(3):
        peer, hello = b"rogue%d" % i, Hello(PROTOCOL_VERSION, f"w{i}", "1", "h")
        machine.handle(Received(peer, hello, "borrowed"), 0.0)
        for _ in range(3):
            machine.handle(Garbage(peer, "malformed", "no result"), 0.0)
    assert list(machine.membership.set_aside) == ["borrowed"]
    assert machine.admission.refused["set-aside"] == 2
    for i in range(3):
        hello = Hello(PROTOCOL_VERSION, f"w{i}", "1", "h")
        machine.handle(Received(b"honest%d" % i, hello, f"key{i}"), 0.0)
    assert [m.name for m in machine.membership.holders if m] == ["w0", "w1", "w2"]


HUGE = [1e14, 1e90, 1e150, 1e200, 1.7e308]


@pytest.mark.parametrize("scheme", ["uncoded", "cached"])
@pytest.mark.parametrize("size", HUGE)
def test_no_single_result_ends_a_run(virtual: Virtual, scheme: str, size: float) -> None:
    """However large, whenever it comes: a worker lies from the first round on, and comes first."""
    lying, plain = (virtual(scheme=scheme, workers=4, rounds=12) for _ in range(2))
    really = lying.to_master

    def to_master(worker: VirtualWorker, message: ToMaster) -> None:
        if isinstance(message, Result) and worker.name == "w0":
            vectors = tuple(packed(np.full(v.n, size)) for v in message.vectors)
            message = replace(message, vectors=vectors)
        really(worker, message)

    lying.to_master = to_master  # type: ignore[method-assign]
    for cluster in (lying, plain):
        start_all(cluster)
        cluster.run()
        assert cluster.finished is not None
        assert cluster.finished.exit_code == EXIT_OK
    assert list(lying.machine.membership.set_aside) == [next(iter(lying.workers))]
    assert np.linalg.norm(theta_of(lying)) < 100 * (1 + np.linalg.norm(theta_of(plain)))
    assert not any(m.strikes for m in lying.machine.membership.members.values())


def test_a_model_that_grows_at_once_is_no_worker_s_fault(virtual: Virtual) -> None:
    cluster = virtual(scheme="uncoded", workers=4, rounds=30, step="1e11")
    start_all(cluster)
    cluster.run()
    assert cluster.finished is not None
    assert "smaller --step" in cluster.finished.reason
    assert not cluster.machine.membership.set_aside
    assert set(cluster.machine.admission.refused) <= {"non-finite"}


def test_what_waits_to_be_compared_is_not_lost_with_its_worker(virtual: Virtual) -> None:
    cluster = running(virtual, workers=2)
    large = np.full(COLUMNS, 1e12)
    cluster.handle(result_of(cluster, 0, vectors=(packed(large),)))
    assert cluster.machine.training.rounds.n_arrived == 0, "nothing to compare it with"
    first, second = cluster.workers.values()
    cluster.depart(first)
    cluster.depart(second)
    (record,) = cluster.records
    assert [a.slot for a in record.arrivals] == [0]


def test_a_loss_that_no_parameters_have_is_refused(virtual: Virtual) -> None:
    cluster = running(virtual)
    event = result_of(cluster)
    assert isinstance(event.message, Result)
    cluster.handle(Received(event.peer, replace(event.message, loss=[-1e-3])))
    assert cluster.machine.admission.refused == {"impossible-loss": 1}


def test_old_results_again_are_duplicates_that_limits_know(virtual: Virtual) -> None:
    """One late result of a slot, part and round; the rest are refused, and not recorded."""
    cluster = virtual(
        scheme="uncoded:r=2", workers=4, rounds=30, timing=Timing(compute_s=lambda s, _: 1.0 + s)
    )
    start_all(cluster)
    cluster.run(until_s=0.5)
    in_time, late = result_of(cluster, slot=0), result_of(cluster, slot=3)
    cluster.run(until_s=2.5)
    for _ in range(5):
        cluster.handle(in_time)
        cluster.handle(late)
    assert cluster.machine.admission.refused == {"duplicate": 9}
    before = cluster.machine.training._lateness.take()
    assert [(entry.slot, entry.round) for entry in before] == [(3, 1)]


def test_strangers_are_asked_to_register(virtual: Virtual) -> None:
    cluster = running(virtual)
    cluster.handle(Received(b"stranger", result_of(cluster).message))
    assert cluster.machine.admission.refused == {"unknown-peer": 1}


def test_garbage_is_counted_by_reason(virtual: Virtual) -> None:
    cluster = running(virtual)
    cluster.handle(Garbage(b"stranger", "malformed", "not msgpack"))
    cluster.handle(Garbage(b"stranger", "too-large", "a frame of 9 bytes"))
    assert cluster.machine.admission.refused == {"malformed": 1, "too-large": 1}
    assert cluster.machine.training.rounds.is_open


def test_who_greets_wrongly_is_told(virtual: Virtual) -> None:
    """It would greet for ever. A member has greeted before: that one is struck, not refused."""
    cluster = running(virtual)
    actions = cluster.machine.handle(Garbage(b"new", "malformed", "name?", greeting=True), 0.0)
    assert Send(b"new", Refuse("malformed", "name?")) in actions
    member = result_of(cluster).peer
    actions = cluster.machine.handle(Garbage(member, "malformed", "name?", greeting=True), 0.0)
    assert not any(isinstance(a, Send) for a in actions)
    assert cluster.machine.membership.members[member].strikes == 1


def test_a_peer_that_cannot_be_reached_misses_the_round_only(virtual: Virtual) -> None:
    cluster = running(virtual)
    peer = result_of(cluster).peer
    cluster.handle(Unreachable(peer))
    assert peer in cluster.machine.membership.members
    assert not cluster.machine.training.rounds.expects(0, 0)


def test_late_results_are_told_with_their_round(virtual: Virtual) -> None:
    cluster = virtual(
        scheme="uncoded:r=2", workers=4, rounds=30, timing=Timing(compute_s=lambda s, _: 1.0 + s)
    )
    start_all(cluster)
    cluster.run(until_s=0.5)
    stale = result_of(cluster, slot=3)
    cluster.run(until_s=2.5)
    assert cluster.machine.round == 2
    cluster.handle(stale)
    cluster.run()
    late = [entry for r in cluster.records for entry in r.late]
    assert [(entry.slot, entry.round) for entry in late] == [(3, 1)]
    assert late[0].after_s == pytest.approx(2.5, abs=0.6)


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


@pytest.mark.parametrize("beyond", [0, 3])
def test_a_run_that_is_resumed_at_its_end_does_no_more(virtual: Virtual, beyond: int) -> None:
    cluster = virtual(workers=2, scheme="uncoded", rounds=5)
    machine = Master(cluster.machine.plan, 0.0, first_round=6 + beyond)
    actions = machine.handle(Woke(), machine.wake_at)
    assert Finish(EXIT_OK, f"all {5 + beyond} rounds done", 5 + beyond, {}) in actions
    assert machine.rounds_done == 5 + beyond


@pytest.mark.parametrize("step", ["1e3", "1e30", "1e200"])
def test_divergence_ends_the_run_before_the_model_is_spoilt(virtual: Virtual, step: str) -> None:
    """Slowly, fast, and so fast that every worker's result overflows at once."""
    cluster = virtual(scheme="uncoded", workers=3, rounds=2000, step=step)
    start_all(cluster)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == 4
    assert "smaller --step" in cluster.finished.reason
    assert len(cluster.records) == cluster.machine.rounds_done, "only rounds with a step count"
    assert np.isfinite(theta_of(cluster)).all()
    assert not cluster.machine.membership.set_aside, "the workers are not to blame"


def test_the_table_has_a_row_for_every_event_and_every_message_of_a_member() -> None:
    assert set(EVENTS) == set(get_args(Event))
    assert set(MESSAGES) == set(get_args(ToMaster)) - {Hello}


def test_no_step_is_taken_before_a_round_is_open(virtual: Virtual) -> None:
    machine = virtual(workers=2, scheme="uncoded").machine
    with pytest.raises(RuntimeError, match="no round is open"):
        machine.handle(Stepped(), 0.0)


FAULTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["kill", "depart", "drain", "freeze", "thaw", "cut", "heal", "start", "restart"]
        ),
        st.integers(0, 5),
        st.floats(0.0, 4.0),
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@example(
    # A rebuild's ASSIGN overtook the one before it, and its worker ignored every round.
    faults=[("kill", 0, 1.75), ("kill", 2, 0.0), ("kill", 1, 2.5)],
    scheme="uncoded",
    latency_seed=0,
    elastic=True,
)
@given(
    faults=FAULTS,
    scheme=st.sampled_from(
        [
            "uncoded",
            "egc:c=2",
            "agc:c=2,r=3",
            "agc:c=2,deadline_s=0.3",
            "frc:c=2,groups=balanced / deadline:after_s=0.3",
            "osgc / fixed / fraction:r=3 / sag",
            "cached:c=2,r=3,parts=tasks",
        ]
    ),
    latency_seed=st.integers(0, 1000),
    elastic=st.booleans(),
)
def test_any_interleaving_keeps_the_invariants_and_ends(
    faults: list[tuple[str, int, float]], scheme: str, latency_seed: int, elastic: bool
) -> None:
    """Workers die, freeze, lose their connection and come back while messages take random times.

    Both machines assert their invariants after every event. When the faults are over one healthy
    worker a slot is started, and the run must end by itself.
    """
    rng = np.random.default_rng(latency_seed)
    cluster = make_virtual(
        some_rows(),
        Timing(message_s=lambda: float(rng.exponential(0.02)), compute_s=lambda s, _: 0.05),
        scheme=scheme,
        workers=4,
        rounds=40,
        delay="exponential:mean_s=0.2",
        membership={
            "silence_limit_s": 2.0,
            "max_wait_s": 15,
            "empty_limit_s": 30,
        },
        refit={"elastic": elastic, "regroup_after_rounds": 3, "rebuild_after_s": 1.0},
    )
    start_all(cluster)
    now = 0.0
    for what, number, pause_s in faults:
        now += pause_s

        def happen(what: str = what, number: int = number) -> None:
            workers = list(cluster.workers.values())
            worker = workers[number % len(workers)]
            if what == "kill":
                worker.kill()
            elif what == "depart":
                cluster.depart(worker)
            elif what == "drain":
                worker.deliver(WorkerShutdown("asked to end"))
            elif what == "freeze":
                worker.frozen = True
            elif what == "thaw" and worker.frozen:
                worker.thaw()
            elif what == "cut":
                worker.cut = True
            elif what == "heal":
                worker.cut = False
            elif what == "start":
                cluster.start(f"extra{number}")
            elif what == "restart":
                worker.kill()
                cluster.start(worker.name)

        cluster.clock.at(now, happen)
    for i in range(4):
        cluster.clock.at(now + 1.0, partial(cluster.start, f"healthy{i}", i))
    cluster.run(until_s=now + 500)
    assert cluster.finished is not None, "the run hangs"
    assert cluster.finished.exit_code in (EXIT_OK, EXIT_NO_WORKERS)
    rounds = [r.round for r in cluster.records]
    assert rounds == list(range(1, len(rounds) + 1))
    if cluster.finished.exit_code == EXIT_OK:
        assert len(rounds) == 40
    for record in cluster.records:
        assert record.arrivals, "a round closed with nothing"
        assert record.closed_s >= record.opened_s


def test_theta_travels_on_the_support_only(
    virtual: Virtual, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = virtual(scheme="uncoded", workers=20, tasks=20, rounds=1)
    start_all(cluster)
    sizes: list[int] = []
    send = cluster.send

    def spy(peer: bytes, parcel: ToWorker) -> bool:
        if isinstance(parcel, Step):
            sizes.append(parcel.model.n)
        return send(peer, parcel)

    monkeypatch.setattr(cluster, "send", spy)
    cluster.run()
    assert sizes
    assert min(sizes) < COLUMNS


def test_an_elastic_run_rebuilds_the_code_for_who_is_there_and_again_on_return(
    virtual: Virtual,
) -> None:
    """1. One of four workers dies for good. 2. The code is rebuilt for three: nothing is erased.
    3. A fourth comes: rebuilt for four. 4. The model is the single process's throughout."""
    cluster = virtual(
        scheme="uncoded",
        workers=4,
        rounds=200,
        delay="exponential:mean_s=0.2",
        refit={"elastic": True, "rebuild_after_s": 5},
    )
    start_all(cluster)
    victim = next(iter(cluster.workers.values()))
    cluster.clock.at(1.0, lambda: cluster.depart(victim))
    cluster.clock.at(30.0, lambda: cluster.start("fourth"))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    sizes = [len(r.arrivals) for r in cluster.records]
    erased = [r.erased_tasks for r in cluster.records]
    rebuilt = [n.text for n in cluster.notices if "rebuilding" in n.text]
    assert rebuilt == [
        "rebuilding the code for 3 workers (was 4), with load 1",
        "rebuilding the code for 4 workers (was 3), with load 1",
    ]
    assert sizes[0] == 4
    assert sizes[-1] == 4
    first_three = erased.index(0, erased.index(1))
    assert all(e == 0 for e in erased[first_three:]), "nothing is erased once the code fits"
    assert cluster.machine.epoch == 2


def test_with_fewer_slots_larger_results_are_honest(virtual: Virtual) -> None:
    """The guard against results that are too large begins anew with another code: of twelve
    workers two are left, and hold six times the rows."""
    cluster = virtual(
        scheme="uncoded",
        workers=12,
        rounds=80,
        delay="exponential:mean_s=0.2",
        refit={"elastic": True, "rebuild_after_s": 5},
        limits={"norm_multiple": 4},
    )
    start_all(cluster)
    for victim in list(cluster.workers.values())[2:]:
        cluster.clock.at(3.0, partial(cluster.depart, victim))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert cluster.machine.plan.code.n_workers == 2
    assert "over-norm" not in cluster.machine.admission.refused


def test_fewer_workers_than_the_load_get_the_largest_that_fits(virtual: Virtual) -> None:
    """Of six workers two are left: c=3 and r=4 become 2. All six come back, and so does c=3."""
    cluster = virtual(
        scheme="agc:c=3,r=4",
        workers=6,
        rounds=250,
        delay="exponential:mean_s=0.2",
        refit={"elastic": True, "rebuild_after_s": 2},
    )
    start_all(cluster)
    for i, victim in enumerate(list(cluster.workers.values())[2:]):
        cluster.clock.at(1.0, partial(cluster.depart, victim))
        cluster.clock.at(15.0, partial(cluster.start, f"new{i}"))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    rebuilt = [n.text for n in cluster.notices if "rebuilding" in n.text]
    assert rebuilt == [
        "rebuilding the code for 2 workers (was 6), with load 2",
        "rebuilding the code for 6 workers (was 2), with load 3",
    ]
    assert cluster.records[-1].erased_tasks == 0


def test_a_code_that_does_not_exist_for_so_few_stays(virtual: Virtual) -> None:
    cluster = virtual(
        scheme="cyclic-mds:s=1",
        tasks=4,
        workers=4,
        rounds=60,
        delay="exponential:mean_s=0.2",
        refit={"elastic": True, "rebuild_after_s": 2},
    )
    start_all(cluster)
    victim = next(iter(cluster.workers.values()))
    cluster.clock.at(1.0, lambda: cluster.depart(victim))
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == EXIT_OK
    assert sum("the code stays as it is for 3 workers" in n.text for n in cluster.notices) == 1


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
