"""Settings and a store that do not fit are refused before a run begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from erasurehead.datasets.manifest import Provenance
from erasurehead.datasets.store import Store, write_store
from erasurehead.errors import EXIT_USAGE, DataError, UsageError
from erasurehead.rows import CsrRows, Target
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.wire.sizes import MAX_FRAME_BYTES
from erasurehead.wire.vectors.q8 import Q8
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.planning import make_plan
from erasurehead_master.run.setup import make_descent


def store_with(
    path: Path, labels: list[float], target: Target = "numbers", columns: int = 3
) -> Store:
    """Write a store of rows with one entry each; the last two rows are test rows."""

    def rows(chosen: list[float]) -> CsrRows:
        n = len(chosen)
        return CsrRows(np.arange(n + 1), np.zeros(n, np.int32), None, np.array(chosen), columns)

    made_up = Provenance("made up", "0" * 64, "made-up-1")
    return write_store(path, "made-up", target, rows(labels[:-2]), rows(labels[-2:]), made_up)


def plan_for(store: Store, **changes: object) -> RunPlan:
    given = {"store": str(store.path), "workers": 2, "scheme": "uncoded", **changes}
    return make_plan(load(RunSettings, given, environment={}), store, None)


@pytest.mark.parametrize(
    "labels", [[0.5, 1.5, -1.0, 2.0, 1.0, -1.0], [1.0, -1.0, 1.0, -1.0, 1.0, 0.0]]
)
def test_labels_that_are_no_two_classes_do_not_suit_the_logistic_loss(
    tmp_path: Path, labels: list[float]
) -> None:
    """Prices were once trained on as if they were classes."""
    store = store_with(tmp_path / "prices", labels)
    with pytest.raises(DataError, match="two classes, -1 and") as refused:
        plan_for(store, model="logistic")
    assert refused.value.exit_code == EXIT_USAGE
    assert "prepared as numbers" in str(refused.value)
    assert plan_for(store).model.name == "least-squares"


def test_labels_that_are_not_finite_suit_no_loss(tmp_path: Path) -> None:
    store = store_with(tmp_path / "gaps", [0.5, np.nan, 1.0, 2.0, 1.0, 0.0])
    with pytest.raises(DataError, match="finite numbers"):
        plan_for(store)


def test_classes_may_be_fitted_by_least_squares(tmp_path: Path) -> None:
    store = store_with(tmp_path / "classes", [1.0, -1.0, 1.0, -1.0, 1.0, -1.0], "two classes")
    assert plan_for(store).model.name == "logistic"
    assert plan_for(store, model="least-squares").model.name == "least-squares"


def test_classes_are_for_softmax_unless_a_model_is_named(tmp_path: Path) -> None:
    store = store_with(tmp_path / "classes", [0.0, 1.0, 2.0, 0.0, 1.0, 2.0], "classes")
    assert str(plan_for(store).model.spec) == "softmax:classes=3"
    refused = "it needs two classes, -1 and \\+1; take --model softmax, or prepare the data for log"
    with pytest.raises(DataError, match=refused):
        plan_for(store, model="logistic")
    assert plan_for(store, model="least-squares").model.name == "least-squares"


def with_rows(store: Store, names: tuple[str, ...] = (), **arrays: Any) -> Store:
    """Return the store with other arrays of its training rows, and names of its classes."""
    manifest = replace(store.manifest, classes=names)
    return Store(store.path, manifest, replace(store.train, **arrays), store.test)


def test_sums_are_divided_by_what_rows_count_for(tmp_path: Path) -> None:
    store = store_with(tmp_path / "rows", [1.0, -1.0, 1.0, -1.0, 1.0, -1.0], "two classes")
    assert plan_for(store).total_weight == 4.0
    weighed = with_rows(store, weights=np.array([0.5, 0.0, 1.0, 2.0]))
    assert plan_for(weighed).total_weight == 3.5
    by_class = plan_for(weighed, model="logistic:class_weight=2/10")
    assert by_class.total_weight == 2 * 2.0 + 10 * 1.5
    balanced = plan_for(weighed, model="logistic:class_weight=balanced")
    # Of the weights 0.5 + 1 and 0 + 2, half of all each.
    assert balanced.total_weight == pytest.approx(3.5)
    of_class = balanced.model.row_weights(np.array([1.0, -1.0]))
    assert of_class is not None
    assert of_class.tolist() == pytest.approx([1.75 / 1.5, 1.75 / 2.0])
    with pytest.raises(DataError, match=r"the 4 training rows of .* all have the weight 0; give"):
        plan_for(with_rows(store, weights=np.zeros(4)))


def test_offsets_are_for_models_that_take_them(tmp_path: Path) -> None:
    labels = [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]
    store = with_rows(store_with(tmp_path / "rows", labels), offsets=np.ones(4))
    assert plan_for(store, model="poisson").model.takes_offsets
    with pytest.raises(DataError, match="has offsets, and the model softmax takes none; prepare"):
        plan_for(store, model="softmax")


def test_an_intercept_is_for_models_that_take_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "networks_of_a_test.py").write_text("def build(): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    # Else every nursery of later tests would be told of it.
    monkeypatch.setattr("erasurehead.settings.plugins._loaded", {})
    store = store_with(tmp_path / "rows", [0.5, 1.5, -1.0, 2.0, 1.0, 0.0])
    plan = plan_for(store, intercept=True)
    assert str(plan.model.spec) == "least-squares:intercept=true"
    assert plan.n_parameters == 4
    assert plan.penalty.value(np.array([0.0, 0.0, 0.0, 5.0])) == 0.0
    with pytest.raises(UsageError, match="the model torch takes no intercept; leave --intercept"):
        plan_for(store, intercept=True, model="torch:networks_of_a_test:build")


def test_an_intercept_needs_a_row_of_every_class(tmp_path: Path) -> None:
    store = store_with(tmp_path / "rows", [0.0, 1.0, 0.0, 1.0, 2.0, 2.0], "classes")
    named = with_rows(store, ("red", "green", "blue"))
    assert plan_for(named).n_parameters == 9
    with pytest.raises(DataError, match=r"no training row of .* is of the class blue, so noth"):
        plan_for(named, intercept=True)


def test_rows_that_count_for_nothing_hold_no_intercept(tmp_path: Path) -> None:
    labels = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]
    store = store_with(tmp_path / "classes", labels, "two classes")
    refused = r"no training row of .* that counts is of the class -1, so nothing holds an intercept"
    with pytest.raises(DataError, match=refused):
        plan_for(with_rows(store, weights=np.array([1.0, 0.0, 1.0, 0.0])), intercept=True)
    with pytest.raises(DataError, match=refused):
        plan_for(store, intercept=True, model="logistic:class_weight=0/1")
    assert plan_for(store, intercept=True).n_parameters == 4


def test_counts_that_are_all_0_hold_no_intercept(tmp_path: Path) -> None:
    store = store_with(tmp_path / "counts", [0.0, 0.0, 0.0, 0.0, 1.0, 2.0])
    with pytest.raises(DataError, match=r"no training row of .* has a label above 0, so nothing"):
        plan_for(store, intercept=True, model="poisson")
    assert plan_for(store, model="poisson").model.name == "poisson"
    weighed = with_rows(
        store, labels=np.array([0.0, 0.0, 0.0, 3.0]), weights=np.array([1, 1, 1, 0])
    )
    with pytest.raises(DataError, match="that counts has a label above 0"):
        plan_for(weighed, intercept=True, model="tweedie:power=1.5")


def test_more_tasks_than_rows_are_refused(tmp_path: Path) -> None:
    store = store_with(tmp_path / "small", [1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    with pytest.raises(UsageError, match="5 tasks cannot be cut from 4 training rows"):
        plan_for(store, workers=5)
    assert plan_for(store, workers=4).code.n_tasks == 4


def test_every_row_is_in_exactly_one_task(tmp_path: Path) -> None:
    plan = plan_for(store_with(tmp_path / "small", [1.0, -1.0] * 8), workers=3)
    covered = np.concatenate([np.arange(lo, hi) for lo, hi in plan.ranges])
    assert sorted(covered.tolist()) == list(range(14))


@pytest.mark.parametrize(("l2", "weight"), [("auto", 0.25), (0.5, 0.5)])
def test_the_penalty_of_a_run(tmp_path: Path, l2: object, weight: float) -> None:
    store = store_with(tmp_path / "rows", [0.5, 1.5, -1.0, 2.0, 1.0, 0.0])
    plan = plan_for(store, l2=l2)
    assert plan.start("nesterov", "0.1", 1, 0.0).l2 == weight
    theta = np.array([2.0, 0.0, 0.0])
    assert make_descent(plan, store.train).method.penalty.value(theta) == 2 * weight


@pytest.mark.parametrize(
    ("format", "columns", "largest"),
    [("f8", 8192, 65536), ("f4", 16384, 65536), ("f2", 20000, 56000)],
)
def test_a_run_whose_own_frames_are_too_large_is_refused(
    tmp_path: Path, format: str, columns: int, largest: int
) -> None:
    """Such a run once said that it was ready, and then nothing more: no result ever arrived.

    The frames of `f2` are short, so there the support of a worker is the largest frame.
    """
    labels = [1.0, 2.0, 3.0, 4.0, 5.0]
    given = {"format": format, "max_frame_bytes": 65536}
    fits = plan_for(store_with(tmp_path / "fits", labels, columns=columns), wire=given)
    assert fits.frame_bytes == largest
    wide = store_with(tmp_path / "wide", labels, columns=2 * columns)
    with pytest.raises(UsageError, match=rf"frame of {2 * largest} bytes.* more than 65536"):
        plan_for(wide, wire=given)
    assert plan_for(wide, wire={"format": format}).frame_bytes == 2 * largest


def test_a_master_takes_no_larger_frames_than_its_workers(tmp_path: Path) -> None:
    store = store_with(tmp_path / "small", [1.0, 2.0, 3.0, 4.0, 5.0])
    with pytest.raises(UsageError, match="max_frame_bytes"):
        plan_for(store, wire={"max_frame_bytes": MAX_FRAME_BYTES + 1})


def test_an_exact_scheme_is_refused_with_a_format_whose_rounding_its_code_amplifies(
    tmp_path: Path,
) -> None:
    store = store_with(tmp_path / "store", [0.0, 1.0] * 20)
    amplifies = "cyclic-repetition:s=9"
    with pytest.raises(UsageError, match=r"vector format f4 and code .* frc:c=10"):
        plan_for(store, workers=30, scheme=amplifies, wire={"format": "f4"})
    for scheme, fits in ((amplifies, "f8"), ("egc:c=3", "f4"), ("cyclic-mds:s=5", "f4")):
        assert plan_for(store, workers=30, scheme=scheme, wire={"format": fits}).exact


def test_eight_bits_serve_a_cache_with_feedback_only_and_no_exact_scheme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_with(tmp_path / "store", [0.0, 1.0] * 20)
    q8 = {"format": "q8"}
    assert plan_for(store, workers=6, scheme="cached", wire=q8).coding.remembers
    with pytest.raises(UsageError, match=r"q8 and code 'frc' may round a gradient .* not exact"):
        plan_for(store, workers=6, scheme="egc:c=3", wire=q8)
    monkeypatch.setattr(Q8, "feedback", False)
    with pytest.raises(UsageError, match=r"q8 rounds every vector .* without feedback"):
        plan_for(store, workers=6, scheme="cached", wire=q8)
