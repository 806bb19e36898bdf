"""Faults of workers, as real processes: what must happen, what is logged, which metric moves.

A master serves in this thread; a chain of (condition, deed) pairs does the harm when a round is
over, so no test waits for a time to pass.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest

from erasurehead.errors import EXIT_DIVERGED, EXIT_NO_WORKERS, EXIT_OK
from erasurehead.records import RoundRecord
from erasurehead.runs import Run, RunWriter
from erasurehead_master.keep.checkpoint import CheckpointDirectory
from tests.support.fault_scene import (
    FOREVER,
    K,
    Scene,
    Watch,
    after,
    arrives,
    end,
    missing,
    slots_of,
    straggled,
)
from tests.support.scraped_metrics import placements, refused, workers


def test_a_killed_worker_is_an_erasure_until_its_successor_comes(fault_scene: Scene) -> None:
    """SIGKILL, then a process of the same name: it gets the slot back."""
    scene = fault_scene
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.send("w1", signal.SIGKILL)),
        (missing(1), lambda: scene.start("w1", 1)),
        (arrives(1), end),
    )
    summary = scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert not watch.undone, "the successor never took part"
    assert watch.said("worker w1 was silent for") == 1
    assert [placements(watch.metrics, i) for i in range(K)] == [1, 2, 1, 1]
    # Between its death and the silence limit every round was sent to it in vain.
    assert straggled(watch.metrics, 1) == sum(1 in r.stragglers for r in watch.records) > 0
    assert workers(watch.metrics, "ready") == K


@pytest.mark.parametrize("name", ["w1", "somebody-else"])
def test_a_restart_under_the_same_or_another_name_fills_the_slot(
    fault_scene: Scene, name: str
) -> None:
    """SIGTERM frees the slot at once (GOODBYE); whoever comes next gets it."""
    scene = fault_scene
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.send("w1", signal.SIGTERM)),
        (missing(1), lambda: scene.start(name)),
        (arrives(1), end),
    )
    summary = scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert not watch.undone
    assert watch.said("worker w1 leaves") == 1
    assert watch.said("was silent") == 0
    assert [placements(watch.metrics, i) for i in range(K)] == [1, 2, 1, 1]
    scene.cluster.poll()
    assert scene.cluster.exit_codes.get("w1", 0) == 0


def test_a_freeze_shorter_than_the_limit_goes_unnoticed(fault_scene: Scene) -> None:
    """SIGSTOP and, some rounds later, SIGCONT: stragglings, nothing else."""
    scene = fault_scene
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.send("w2", signal.SIGSTOP)),
        (after(40), lambda: scene.send("w2", signal.SIGCONT)),
        (arrives(2), end),
    )
    summary = scene.serve(
        watch,
        rounds=FOREVER,
        membership={"silence_limit_s": 60.0, "heartbeat_interval_s": 0.2},
    )
    assert summary.exit_code == EXIT_OK
    assert not watch.undone
    assert watch.said("was silent") == 0
    frozen = [r for r in watch.records if 25 <= r.round <= 38]
    assert all(2 in r.stragglers for r in frozen)
    assert straggled(watch.metrics, 2) >= len(frozen)
    assert [placements(watch.metrics, i) for i in range(K)] == [1, 1, 1, 1]


def test_a_freeze_longer_than_the_limit_costs_the_slot_until_the_return(
    fault_scene: Scene,
) -> None:
    """1. SIGSTOP. 2. Silent beyond the limit: the slot is free. 3. SIGCONT: HELLO, and back."""
    scene = fault_scene
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.send("w2", signal.SIGSTOP)),
        (missing(2), lambda: scene.send("w2", signal.SIGCONT)),
        (arrives(2), end),
    )
    summary = scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert not watch.undone
    assert watch.said("worker w2 was silent for") == 1
    # What it had begun before it slept comes before its HELLO or after it, unless dropped; another
    # one may answer twice where the machine is so busy that the master sends a round again.
    assert refused(watch.metrics).keys() <= {"unknown-peer", "wrong-slot", "duplicate"}
    assert [placements(watch.metrics, i) for i in range(K)] == [1, 1, 2, 1]


def test_a_frozen_worker_that_comes_back_makes_its_substitute_a_spare_again(
    fault_scene: Scene,
) -> None:
    """1. A spare steps in for a frozen worker. 2. It thaws and has its own slot again."""
    scene = fault_scene
    scene.start_all()
    watch = Watch(
        (after(5), lambda: scene.start("spare")),
        (lambda _: watch.said("spare on") > 0, lambda: scene.send("w2", signal.SIGSTOP)),
        (
            lambda r: watch.said("worker w2 was silent") > 0 and 2 in slots_of(r[-1]),
            lambda: scene.send("w2", signal.SIGCONT),
        ),
        (lambda _: watch.said("worker w2 on") > 1, lambda: None),
        (lambda _: workers(watch.scrape(), "ready") == K, end),
    )
    summary = scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert watch.said("took the place") == 0
    assert (workers(watch.metrics, "ready"), workers(watch.metrics, "spare")) == (K, 1)
    assert [placements(watch.metrics, i) for i in range(K)] == [1, 1, 3, 1]
    assert scene.ends() == dict.fromkeys(("w0", "w1", "w2", "w3", "spare"), 0)


def test_a_frozen_worker_that_has_a_successor_must_stop(fault_scene: Scene) -> None:
    """1. It is given up, and a newer process has its name and slot. 2. It thaws, and ends."""
    scene = fault_scene
    scene.start_all()
    frozen: list[int] = []

    def freeze() -> None:
        scene.send("w2", signal.SIGSTOP)
        frozen.append(scene.cluster.pids["w2"])

    watch = Watch(
        (after(20), freeze),
        (missing(2), lambda: scene.start("w2", 2)),
        (arrives(2), lambda: os.kill(frozen[0], signal.SIGCONT)),
        (lambda _: watch.said("took the place of worker w2") > 0, end),  # it may greet twice
    )
    summary = scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert [placements(watch.metrics, i) for i in range(K)] == [1, 1, 2, 1]
    assert workers(watch.metrics, "ready") == K
    assert scene.ends() == dict.fromkeys((f"w{i}" for i in range(K)), 0)
    assert not psutil.pid_exists(frozen[0])


def test_a_second_claimant_of_a_slot_wins(fault_scene: Scene) -> None:
    scene = fault_scene
    scene.start_all()
    watch = Watch(
        (after(20), lambda: scene.start("rival", 3)),
        (lambda _: watch.said("took the place of worker w3") > 0, lambda: None),
        (lambda _: placements(watch.scrape(), 3) == 2, end),
    )
    summary = scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert not watch.undone
    assert [placements(watch.metrics, i) for i in range(K)] == [1, 1, 1, 2]
    assert scene.ends() == dict.fromkeys(("w0", "w1", "w2", "w3", "rival"), 0)


def test_a_late_worker_joins(fault_scene: Scene) -> None:
    """The run starts with three of four; the fourth comes in its middle, and nobody notices."""
    scene = fault_scene
    for i in range(3):
        scene.start(f"w{i}", i)
    before: list[dict[str, float]] = []

    def let_it_come() -> None:
        before.append(watch.scrape())
        scene.start("late")

    watch = Watch((after(20), let_it_come), (arrives(3), end))
    summary = scene.serve(watch, rounds=FOREVER, membership={"min_workers": 3, "max_wait_s": 3.0})
    assert summary.exit_code == EXIT_OK
    assert not watch.undone
    assert watch.said("listening on tcp://") == 1
    assert watch.said("starting with 3 of 4 workers") == 1
    assert workers(before[0], "ready") == 3
    assert workers(watch.metrics, "ready") == 4
    assert [placements(watch.metrics, i) for i in range(K)] == [1, 1, 1, 1]


def test_a_spare_is_first_in_line(fault_scene: Scene) -> None:
    """Five workers for four slots: the fifth is idle until somebody dies, and then takes over."""
    scene = fault_scene
    scene.start_all()
    before: list[dict[str, float]] = []

    def kill() -> None:
        before.append(watch.scrape())
        scene.send("w0", signal.SIGKILL)

    watch = Watch(
        (after(5), lambda: scene.start("spare")),
        (lambda _: watch.said("spare on") > 0, kill),
        (lambda r: watch.said("worker w0 was silent") > 0 and 0 in slots_of(r[-1]), end),
    )
    summary = scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert not watch.undone
    assert watch.said("registered as a spare") == 1
    assert (workers(before[0], "ready"), workers(before[0], "spare")) == (K, 1)
    assert (workers(watch.metrics, "ready"), workers(watch.metrics, "spare")) == (K, 0)
    assert [placements(watch.metrics, i) for i in range(K)] == [2, 1, 1, 1]


def test_when_all_are_gone_the_run_waits_and_ends_by_its_limit(fault_scene: Scene) -> None:
    scene = fault_scene
    scene.start_all()
    watch = Watch((after(20), scene.kill_all))
    summary = scene.serve(
        watch,
        rounds=FOREVER,
        membership={
            "silence_limit_s": 1.0,
            "heartbeat_interval_s": 0.2,
            "empty_limit_s": 1.0,
        },
    )
    assert summary.exit_code == EXIT_NO_WORKERS
    assert watch.said("no worker is left") == 1
    assert summary.rounds >= 20
    assert watch.metrics["erasurehead_exit_code"] == EXIT_NO_WORKERS
    assert workers(watch.metrics, "ready") == 0


def test_all_gone_and_back_again(fault_scene: Scene) -> None:
    """The run says so once, waits, and goes on with the first that returns."""
    scene = fault_scene
    scene.start_all()
    alone: list[dict[str, float]] = []
    lone_after: list[int] = []

    def kill_all() -> None:
        scene.kill_all()

        def come_back() -> None:
            watch.until_said("no worker is left")
            alone.append(watch.scrape())
            lone_after.append(watch.records[-1].round)
            scene.start_all()

        threading.Thread(target=come_back).start()

    def goes_on(records: list[RoundRecord]) -> bool:
        return bool(lone_after) and records[-1].round >= lone_after[0] + 20

    watch = Watch((after(20), kill_all), (goes_on, end))
    summary = scene.serve(watch, rounds=FOREVER)
    assert summary.exit_code == EXIT_OK
    assert not watch.undone
    assert watch.said("no worker is left") == 1
    assert workers(alone[0], "ready") == 0
    assert alone[0]['erasurehead_phase{phase="training"}'] == 1
    assert sum(placements(watch.metrics, i) for i in range(K)) > 0


def test_a_master_that_is_asked_to_end_finishes_the_round_and_tells_its_workers(
    fault_scene: Scene, tmp_path: Path
) -> None:
    """SIGTERM: the round is closed, a checkpoint of it written, everybody ends with 0."""
    scene = fault_scene
    scene.start_all()
    out = tmp_path / "run"
    watch = Watch((after(20), end))
    changes = {"out": out, "rounds": FOREVER}
    with RunWriter(out, scene.settings(watch.http_port, **changes)) as writer:
        summary = scene.serve(watch, writer, **changes)
    assert summary.exit_code == EXIT_OK
    assert summary.reason == "asked to end by SIGTERM"
    assert "asked to end by SIGTERM" in (out / "events.log").read_text()
    assert 20 <= summary.rounds < FOREVER
    kept, _ = CheckpointDirectory(out / "checkpoint", 3).load(summary.rounds)
    assert kept is not None
    assert kept.round == summary.rounds == watch.records[-1].round
    assert watch.metrics["erasurehead_exit_code"] == EXIT_OK
    assert watch.metrics["erasurehead_checkpoint_age_seconds"] >= 0
    assert scene.ends() == dict.fromkeys((f"w{i}" for i in range(K)), 0)


def test_a_run_that_diverges_stops_and_keeps_the_last_good_state(
    fault_scene: Scene, tmp_path: Path
) -> None:
    scene = fault_scene
    scene.start_all()
    out = tmp_path / "run"
    watch = Watch()
    changes = {
        "out": out,
        "model": "least-squares",
        "step": "100",
        "rounds": FOREVER,
        "checkpoint": {"every_rounds": 1},
    }
    with RunWriter(out, scene.settings(watch.http_port, **changes)) as writer:
        summary = scene.serve(watch, writer, **changes)
    assert summary.exit_code == EXIT_DIVERGED
    assert "take a smaller --step" in summary.reason
    assert "the run diverged in round" in (out / "events.log").read_text()
    assert [r.round for r in Run.open(out)] == list(range(1, summary.rounds + 1))
    kept, passed = CheckpointDirectory(out / "checkpoint", 3).load(summary.rounds)
    assert kept is not None
    assert not passed
    assert all(np.isfinite(array).all() for array in kept.part("optimizer").values())
    assert watch.metrics["erasurehead_exit_code"] == EXIT_DIVERGED
    assert scene.ends() == dict.fromkeys((f"w{i}" for i in range(K)), 0)
