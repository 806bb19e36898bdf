"""A code that is rebuilt for the workers that are there."""

from __future__ import annotations

from functools import partial

from erasurehead.errors import EXIT_OK
from tests.support.master_scene import Virtual, start_all


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
