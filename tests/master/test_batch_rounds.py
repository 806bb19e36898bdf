"""Runs of mini-batch rounds: copies of a task agree, and what remembers other rows is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead_master.run.finishing import make_finishing
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.compute_times import round_pass_s
from tests.support.virtual_run import make_master, make_virtual, some_rows

WORKERS = 6


def ended(scheme: str, rounds: int = 12, **settings: Any) -> VirtualCluster:
    cluster = make_virtual(
        some_rows(), scheme=scheme, workers=WORKERS, rounds=rounds, step="0.3", **settings
    )
    for i in range(WORKERS):
        cluster.start(f"w{i}", i)
    cluster.run()
    assert cluster.finished is not None
    assert cluster.finished.exit_code == 0
    return cluster


def theta(cluster: VirtualCluster) -> FloatArray:
    return cluster.conductor.model


@pytest.mark.parametrize(
    "scheme",
    ["egc:c=2", "cyclic-mds:s=1 / least-squares / exact", "egc:c=3", "partial:s=1,alpha=2"],
)
def test_copies_of_a_task_agree(scheme: str) -> None:
    """An exact scheme has the sum over the batch of every task, as without a code."""
    coded = ended(scheme, batch=0.3)
    plain = ended("uncoded", tasks=coded.machine.plan.code.n_tasks, batch=0.3)
    np.testing.assert_allclose(theta(coded), theta(plain), rtol=1e-9)
    assert all(record.decode_error < 1e-12 for record in coded.records)


def test_rounds_have_other_rows_and_runs_the_same() -> None:
    losses = [
        [r.train_loss for r in ended("uncoded", batch=0.2, seed=s).records] for s in (1, 1, 2)
    ]
    assert losses[0] == losses[1]
    assert losses[0][0] != losses[2][0], "the rows of round 1 depend on the seed"


def test_a_batch_learns_what_all_rows_teach() -> None:
    everything = ended("uncoded", rounds=400)
    in_batches = ended("uncoded", rounds=400, batch=0.5)
    assert in_batches.records[-1].train_loss < 0.2 * in_batches.records[0].train_loss
    np.testing.assert_allclose(theta(in_batches), theta(everything), atol=0.1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scheme": "cached"}, "--batch 0.1 takes other rows in every round, and scheme '.*cached"),
        ({"scheme": "agc:c=2,r=3,cache=saga"}, "remembers gradients of earlier rounds"),
        ({"scheme": "uncoded", "optimizer": "lbfgs"}, "optimizer 'lbfgs' learns from how"),
        ({"scheme": "egc:c=2", "optimizer": "damped-lbfgs"}, "take adam, momentum or"),
    ],
)
def test_what_remembers_other_rows_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_master(some_rows(), batch=0.1, workers=WORKERS, **settings)


def test_a_gradient_of_all_rows_cannot_end_a_run_in_batches() -> None:
    machine, descent = make_master(
        some_rows(), batch=0.1, workers=WORKERS, scheme="uncoded", until="gradient:1e-3"
    )
    with pytest.raises(
        UsageError, match=r"--until gradient:1e-3 looks at the gradient of all rows"
    ):
        make_finishing(machine.plan, descent, rated=False)


@pytest.mark.parametrize(
    ("scheme", "model", "optimizer"),
    [("uncoded", "least-squares", "diagonal"), ("egc:c=2", "poisson", "adam")],
)
def test_the_method_for_batches(scheme: str, model: str, optimizer: str) -> None:
    _, descent = make_master(
        some_rows(), batch=0.5, workers=WORKERS, scheme=scheme, model=model, step="auto"
    )
    assert descent.chosen.optimizer == optimizer
    assert "every round is on other rows" in descent.chosen.reason


@pytest.mark.parametrize(
    ("scheme", "is_taken"),
    [
        ("uncoded", True),
        ("uncoded:r=3", True),
        ("agc:c=2,r=3", True),
        ("agc:c=2,r=3,cache=saga", True),
        ("regular:c=2 / one-step / fraction:r=3", True),
        ("regular:c=2 / fixed:p=0.3 / fraction:r=3", True),
        ("agc:c=2,r=3,cache=sag", False),
        ("regular:c=2 / least-squares / fraction:r=3", False),
        ("regular:c=2 / one-step:scale=optimal / fraction:r=3", False),
    ],
)
def test_adam_takes_rounds_without_a_bias(scheme: str, is_taken: bool) -> None:
    settings = {"optimizer": "adam", "scheme": scheme, "workers": WORKERS}
    if is_taken:
        make_master(some_rows(), **settings)
    else:
        with pytest.raises(UsageError, match=r"optimizer 'adam' .* have one: take agc"):
            make_master(some_rows(), **settings)


def test_a_simulator_charges_for_the_rows_that_count() -> None:
    machine, _ = make_master(some_rows(), batch=0.25, workers=WORKERS, scheme="uncoded")
    assert round_pass_s(machine.plan.settings, 2.0) == 0.5
