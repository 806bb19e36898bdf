"""Runs from Python: with processes, under a virtual clock, from scripts and threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import psutil
import pytest

import erasurehead as eh
from erasurehead.records import Observer, RoundRecord
from erasurehead.settings import plugins
from erasurehead.straggling import DELAYS
from erasurehead_face.running.problem import SHARED_MEMORY
from tests.face.conftest import Table

SETTINGS: dict[str, Any] = {
    "workers": 3,
    "scheme": "uncoded",
    "optimizer": "gradient-descent",
    "until": "none",
    "rounds": 12,
    "l2": 0.01,
}


def leftovers(pid: int) -> list[Path]:
    folders = (SHARED_MEMORY, Path(tempfile.gettempdir()))
    return [p for folder in folders for p in folder.glob(f"erasurehead-{pid}-*")]


def test_a_run_on_arrays_is_the_run_of_the_simulator_and_leaves_nothing(table: Table) -> None:
    X, y = table.X.copy(), table.y.copy()
    run = eh.train(X, y, test=(X[:40], y[:40]), progress=False, **SETTINGS)
    np.testing.assert_array_equal(X, table.X)
    assert leftovers(os.getpid()) == []
    assert psutil.Process().children(recursive=True) == []
    virtual = eh.simulate(X, y, test=(X[:40], y[:40]), pass_s=1.0, **SETTINGS)
    np.testing.assert_array_equal(run.theta, virtual.theta)
    assert virtual.summary.wall_s == pytest.approx(12 / 3)
    assert run.path is None
    assert [r.round for r in run.history] == list(range(1, 13))
    assert not run.interrupted
    assert run.classes is not None
    assert run.classes.tolist() == ["early", "late"]
    right = np.mean(run.predict(X[:40]) == y[:40])
    assert run.score(X[:40], y[:40])["accuracy"] == right == run.summary.metrics["accuracy"]
    frame = run.frame()
    assert frame.loc[10, "accuracy"] == run.history[9].metrics["accuracy"]
    assert frame["arrivals"].tolist() == [3] * 12
    assert "12 rounds" in repr(run)


def test_workers_import_what_lies_beside_a_script(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their process is another one, with no script and in any folder."""
    (tmp_path / "beside.py").write_text(
        "from erasurehead.straggling import DELAYS\n"
        "from erasurehead.straggling.none import NoDelay\n"
        "DELAYS.register('beside', NoDelay)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(DELAYS, "_entries", dict(DELAYS._entries))
    given = {**SETTINGS, "rounds": 2, "plugin": "beside", "delay": "beside"}
    assert len(eh.train(table.X, table.y, progress=False, **given).history) == 2


def test_a_run_with_a_directory_is_opened_again(table: Table, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = eh.train(*table, out=out, progress=False, **SETTINGS)
    again = eh.Run.open(out)
    np.testing.assert_array_equal(run.theta, again.theta)
    assert (run.path, run.history) == (out, again.history)
    assert run.predict(table.X).tolist() == again.predict(table.X).tolist()
    told = again.predictions(table.X)
    assert told["class"].tolist() == again.predict(table.X).tolist()
    assert "probability of late" in told
    assert "uncoded" in again.report().read_text(encoding="utf-8")
    with pytest.raises(eh.UsageError, match="already holds a run"):
        eh.train(*table, out=out, progress=False, **SETTINGS)


def test_a_report_needs_a_file_where_there_is_no_directory(table: Table, tmp_path: Path) -> None:
    run = eh.simulate(*table, delay="exponential:mean_s=1", **SETTINGS)
    with pytest.raises(eh.UsageError, match="name a file"):
        run.report()
    assert run.report(tmp_path / "page.html").exists()


def test_rows_with_other_columns_are_refused(table: Table) -> None:
    run = eh.simulate(*table, pass_s=1.0, **SETTINGS)
    with pytest.raises(eh.DataError, match="2 columns, and the model was trained on 6"):
        run.predict(table.X[:, :2])


def test_columns_with_names_are_told_apart_by_them(table: Table) -> None:
    """Their order was taken for what they are, and the model was wrong without a word."""
    frame = pd.DataFrame(table.X, columns=list("abcdef"))
    run = eh.simulate(frame, table.y, test=(frame, table.y), pass_s=1.0, **SETTINGS)
    assert run.columns == tuple("abcdef")
    np.testing.assert_array_equal(run.predict(frame), run.predict(table.X))
    turned = frame[list("bacdef")]
    with pytest.raises(eh.DataError, match="X has the same columns in another order than the mod"):
        run.predict(turned)
    with pytest.raises(eh.DataError, match=r"other columns \(g\) .*: a, b, c, d, e, f$"):
        run.score(frame.rename(columns={"a": "g"}), table.y)
    with pytest.raises(eh.DataError, match="X of test has the same columns in another order than"):
        eh.simulate(frame, table.y, test=(turned, table.y), pass_s=1.0, **SETTINGS)
    nameless = eh.simulate(table.X, table.y, pass_s=1.0, **SETTINGS)
    assert nameless.predict(turned).shape == (240,)


def test_a_run_that_is_opened_again_knows_what_its_columns_are_called(
    table: Table, tmp_path: Path
) -> None:
    frame = pd.DataFrame(table.X, columns=["a", "b", "ß", "d", "e", "f"])
    out = tmp_path / "run"
    run = eh.train(frame, table.y, out=out, progress=False, **SETTINGS)
    again = eh.Run.open(out)
    assert run.columns == again.columns == tuple(frame.columns)
    with pytest.raises(eh.DataError, match="X has the same columns in another order than the mod"):
        again.predict(frame[list(frame.columns[::-1])])
    np.testing.assert_array_equal(again.predict(frame), run.predict(frame))
    estimator = again.to_sklearn()
    assert estimator.predict(frame).tolist() == again.predict(frame).tolist()
    with pytest.raises(ValueError, match="must be in the same order"):
        estimator.predict(frame[list(frame.columns[::-1])])


@pytest.mark.parametrize(
    "classes", [(0, 1), (2.5, -1.0), (True, False), ("1", "2")], ids=lambda pair: str(pair)
)
def test_a_run_that_is_opened_again_knows_what_its_classes_are(
    table: Table, tmp_path: Path, classes: tuple[Any, Any]
) -> None:
    """They were texts, none of which is equal to a number that was learnt from."""
    y = np.where(table.y == "late", *classes)
    run = eh.train(table.X, y, out=tmp_path / "run", progress=False, **SETTINGS)
    again = eh.Run.open(tmp_path / "run")
    assert again.predict(table.X).dtype == run.predict(table.X).dtype == y.dtype
    np.testing.assert_array_equal(again.predict(table.X), run.predict(table.X))
    assert again.score(table.X, y) == run.score(table.X, y)
    assert again.to_sklearn().predict(table.X).tolist() == run.predict(table.X).tolist()


def test_a_worker_may_have_rows_of_zeros_alone() -> None:
    """Its parameters were none, for which the master sent it away."""
    X = np.zeros((40, 2))
    X[0, 0] = 1.0
    y = np.arange(40) % 2
    for scheme in ("uncoded", "cached"):
        run = eh.simulate(
            X,
            y,
            delay="exponential:mean_s=1",
            scheme=scheme,
            workers=4,
            rounds=60,
            until="none",
            l2=0.1,
        )
        # The one row that has an entry, of label -1: 0.1 theta + sigmoid(theta) / 40 = 0.
        theta = float(run.theta[0])
        assert 0.1 * theta + 1 / (1 + np.exp(-theta)) / 40 == pytest.approx(0.0, abs=1e-6)
        assert run.theta[1] == 0.0
    wait = {"max_wait_s": 120.0}
    run = eh.train(X, y, progress=False, workers=4, scheme="uncoded", rounds=5, membership=wait)
    assert len(run.history) == 5


def test_rows_without_labels_have_no_score(table: Table) -> None:
    """The share of labels that are right was told of labels that nobody gave."""
    run = eh.simulate(*table, pass_s=1.0, **SETTINGS)
    with pytest.raises(eh.DataError, match="there is no label to compare with; give y"):
        run.score(table.X)


def test_rows_are_scored_by_a_label_each(table: Table) -> None:
    """numpy would stretch a single one over all rows, and say how good that is."""
    run = eh.simulate(*table, pass_s=1.0, **SETTINGS)
    assert set(run.score(table.X[:3], table.y[:3])) >= {"accuracy"}
    with pytest.raises(eh.DataError, match="X has 3 rows and there are 1 labels; give one label"):
        run.score(table.X[:3], table.y[:1])
    with pytest.raises(
        eh.DataError, match="labels such as 1, and the model tells 'early', 'late' a"
    ):
        run.score(table.X[:3], [1, 2, 1])
    of_objects = eh.simulate(table.X, table.y.astype(object), pass_s=1.0, **SETTINGS)
    with pytest.raises(eh.DataError, match=r"y has labels such as .*; give labels of that kind"):
        of_objects.score(table.X[:3], [1, 2, 1])


def test_a_run_that_diverges_is_an_error_that_has_the_run(table: Table) -> None:
    given = {**SETTINGS, "step": 1e300, "model": "least-squares"}
    with np.errstate(over="ignore"), pytest.raises(eh.RunError, match="diverged") as error:
        eh.simulate(table.X, np.arange(240.0), pass_s=1.0, **given)
    assert error.value.exit_code == 4


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda X, y: eh.train(X, y, resume=True), "name it by --out, or from Python by out="),
        (lambda X, y: eh.train(X, pd.array([None, *y[1:]])), "missing or infinite labels"),
        (
            lambda X, y: eh.train(X, np.array([3, *y[1:]], dtype=object)),
            "y holds texts and others, such as 3; give labels of one kind",
        ),
        (lambda X, y: eh.train("stores/x", y), "y is given beside the store"),
        (
            lambda X, y: eh.train(X, y, observers=cast(Any, [3])),
            "observers holds 3, which is no observer",
        ),
        (
            lambda X, y: eh.train(X, y, observers=cast(Any, Observer())),
            "observers is a single observer; give",
        ),
        (
            lambda X, y: eh.simulate(X, y, pass_s=1.0, observers=cast(Any, ["a"])),
            "observers holds 'a', which is no observer",
        ),
        (
            lambda X, y: eh.torch_model(cast(Any, None)),
            "build=None of a torch model is no function; give",
        ),
        (
            lambda X, y: eh.torch_model(str, cast(Any, 3)),
            "loss=3 of a torch model is no function; give",
        ),
        (lambda X, y: eh.simulate(X, y, out="x"), "'out' means nothing here"),
        (lambda X, y: eh.simulate(X, y), "nothing takes any time"),
        (lambda X, y: eh.plan(X, y, target="auc=0.5", scheme="uncoded"), "chooses the scheme"),
        (lambda X, y: eh.plan(X, y, target="auc"), "auc"),
        (lambda X, y: eh.plan(X, y, target=cast(str, 3)), "target=3 is no text; write for exa"),
        (lambda X, y: eh.plan(X, y, target="loss=1", trace=cast(str, 3)), "trace=3 is no run"),
        (
            lambda X, y: eh.plan(
                X, y, target="loss=1", schemes="egd", delay="exponential:mean_s=1"
            ),
            "unknown scheme or code 'egd'",
        ),
        (lambda X, y: eh.simulate(X, y, pass_s=cast(float, "a")), "cannot take a s; give 0 or"),
        (lambda X, y: eh.plan(X, y, target="loss=0.5", trace="nowhere"), "holds no run"),
        (
            lambda X, y: eh.simulate(X, gradient_free=True),  # type: ignore[call-overload]
            "X means nothing here",
        ),
        (lambda X, y: eh.simulate(gradient_free=True), "nothing takes any time"),
        (lambda X, y: eh.simulate(gradient_free=True, out="x"), "'out' means nothing here"),
        (lambda X, y: eh.simulate(gradient_free=True, track="mlflow"), "no run to track"),
    ],
)
def test_what_cannot_be_is_told_before_anything_starts(call: Any, told: str, table: Table) -> None:
    with pytest.raises(eh.UsageError, match=told):
        call(*table)


def test_a_plan_names_a_scheme_to_train_with(table: Table) -> None:
    given = {k: v for k, v in SETTINGS.items() if k != "scheme"} | {"workers": 2, "rounds": 40}
    plan = eh.plan(
        *table,
        target="loss=0.5",
        delay="exponential:mean_s=1",
        seeds=1,
        finalists=1,
        max_load=1,
        jobs=1,
        **given,
    )
    assert plan.scheme in plan.frame()["scheme"].tolist()
    assert plan.rounds >= 1
    assert plan.scheme in repr(plan)


def test_a_plan_for_the_cluster_of_a_run_has_its_workers_and_delays(table: Table) -> None:
    given = {k: v for k, v in SETTINGS.items() if k not in ("scheme", "workers")}
    run = eh.simulate(*table, workers=2, scheme="uncoded", delay="exponential:mean_s=1", **given)
    few = {"seeds": 1, "finalists": 1, "max_load": 1, "jobs": 1, "rounds": 40}
    wanted: dict[str, Any] = {"target": "loss=0.5", "trace": run, **given, **few}
    plan = eh.plan(*table, **wanted)
    assert plan.workers == 2
    recorded = sum(record.duration_s for record in run.history) / len(run.history)
    # Rounds of other arrivals are drawn from the same ones.
    assert plan.result.best.round_s < 3 * recorded
    refused: list[tuple[dict[str, Any], str]] = [
        ({"workers": 3}, "the trace has 2 workers, but workers is 3"),
        ({"delay": "exponential:mean_s=1"}, "leave delay out, or trace"),
        ({"pass_s": 1.0}, "leave pass_s out"),
    ]
    for wrong, told in refused:
        with pytest.raises(eh.UsageError, match=told):
            eh.plan(table.X, table.y, **wanted, **wrong)


def test_a_simulation_without_gradients_has_the_times_of_one_with_them(table: Table) -> None:
    given = {**SETTINGS, "delay": "exponential:mean_s=1", "scheme": "agc:c=3,r=2"}
    timeline = eh.simulate(gradient_free=True, pass_s=0.5, **given)
    run = eh.simulate(*table, pass_s=0.5, **given)
    durations = [record.closed_s - record.opened_s for record in run.history]
    np.testing.assert_allclose(timeline.duration_s, durations, rtol=1e-12)
    assert timeline.n_arrived.tolist() == [len(record.arrivals) for record in run.history]


def test_a_run_on_arrays_goes_on_with_the_same_arrays(table: Table, tmp_path: Path) -> None:
    given: dict[str, Any] = {**SETTINGS, "out": tmp_path / "run", "progress": False}
    assert eh.train(*table, **{**given, "rounds": 5}).summary.rounds == 5
    run = eh.train(*table, **given, resume=True)
    np.testing.assert_array_equal(run.theta, eh.simulate(*table, pass_s=1.0, **SETTINGS).theta)
    assert [record.round for record in run.history] == list(range(1, 13))
    more = {**given, "rounds": 20, "resume": True}
    with pytest.raises(eh.UsageError, match="was begun with other data"):
        eh.train(table.X + 1, table.y, **more)
    others: dict[str, Any] = {"l1": 0.1, "intercept": True, "batch": 0.5}
    for setting, other in others.items():
        with pytest.raises(eh.UsageError, match=f"was begun with {setting}="):
            eh.train(*table, **{**more, setting: other})
    assert leftovers(os.getpid()) == []


def test_a_thread_may_train(table: Table) -> None:
    found: list[eh.Run] = []
    thread = threading.Thread(
        target=lambda: found.append(eh.train(*table, progress=False, **SETTINGS))
    )
    thread.start()
    thread.join(120)
    assert found[0].summary.rounds == 12


SCRIPT = """
import os, signal, sys
import numpy as np
import erasurehead as eh
from erasurehead.records import Observer

class AtRound(Observer):
    def round_over(self, record):
        if record.round == 5:
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3))
run = eh.train(X, X[:, 0] > 0, workers=2, scheme="uncoded", rounds=10**6, step=0.1, until="none",
               l2=0.1, observers=[AtRound()], optimizer="gradient-descent")
import psutil
print(run.interrupted, 5 <= run.summary.rounds < 10**6, bool(np.any(run.theta)),
      len(psutil.Process().children(recursive=True)))
"""
"""A script without a guard, which asks itself to end in round 5."""


def script(number: str) -> tuple[str, str, int, list[Path]]:
    """Run the script; return what it printed, its exit code, and what it has left behind."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, number],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        # The nursery has its standard error, too: this reads on until that has ended as well.
        printed, told = process.communicate(timeout=120)
    return printed, told, process.returncode, leftovers(process.pid)


def test_an_interrupt_ends_the_run_and_keeps_the_model_so_far() -> None:
    printed, told, _, left = script("SIGINT")
    assert printed.split() == ["True", "True", "True", "0"], told
    assert left == []


def test_a_process_that_is_killed_leaves_neither_workers_nor_rows() -> None:
    _, _, code, left = script("SIGKILL")
    assert code == -signal.SIGKILL
    assert left == []


def test_an_observer_of_the_user_sees_each_model_and_may_end_the_run(table: Table) -> None:
    class Watch(Observer):
        def __init__(self) -> None:
            self.rounds: list[int] = []
            self.theta = np.zeros(0)

        def moved(self, round_: int, model: Callable[[], Any]) -> str | None:
            self.theta = model().copy()
            return "that will do" if round_ == 4 else None

        def round_over(self, record: RoundRecord) -> None:
            self.rounds.append(record.round)

    watch = Watch()
    run = eh.simulate(*table, pass_s=1.0, observers=[watch], **SETTINGS)
    assert watch.rounds == [1, 2, 3, 4]
    assert (run.summary.reason, run.summary.exit_code) == ("that will do", 0)
    np.testing.assert_array_equal(run.theta, watch.theta)
