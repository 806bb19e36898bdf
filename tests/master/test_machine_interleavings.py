"""Messages that take random times while workers die and come back, under checked invariants."""

from __future__ import annotations

from functools import partial

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from erasurehead.errors import EXIT_NO_WORKERS, EXIT_OK
from erasurehead_simulator.virtual.timing import Timing
from erasurehead_worker.machine.events import Shutdown as WorkerShutdown
from tests.support.master_scene import start_all
from tests.support.virtual_run import make_virtual, some_rows

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
