"""Runs that are done before their last round, and which model they leave."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.errors import EXIT_OK, UsageError
from erasurehead.records import Observer, RoundRecord, RunStart, RunSummary
from erasurehead.rows import CsrRows
from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.keep.restore import restore
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.finishing import make_finishing
from erasurehead_master.run.ledger import RunTimes
from erasurehead_master.run.seams import Usage
from erasurehead_master.run.setup import make_descent
from erasurehead_simulator.virtual.arithmetic import RealArithmetic
from erasurehead_simulator.virtual.cluster import VirtualCluster
from erasurehead_simulator.virtual.timing import Timing
from tests.support.virtual_run import COLUMNS, make_master, some_rows

ROWS = some_rows()
L2 = 1e-3


def objective(theta: FloatArray) -> float:
    margins = ROWS.matrix() @ theta
    return float(np.mean(0.5 * (margins - ROWS.labels) ** 2) + 0.5 * L2 * theta @ theta)


def best_model(rows: CsrRows) -> FloatArray:
    X = rows.matrix().toarray()
    found: FloatArray = np.linalg.solve(
        X.T @ X / len(X) + L2 * np.eye(X.shape[1]), X.T @ rows.labels / len(X)
    )
    return found


class Played(Observer):
    """A run from its beginning or from a state of another one, with test metrics; it keeps what it
    leaves, and its state after each round."""

    def __init__(self, resume: Snapshot | None = None, **settings: object) -> None:
        self.records: list[RoundRecord] = []
        self.states: dict[int, Snapshot] = {}
        self.theta: FloatArray = np.zeros(0)
        self.of_round = 0
        given = {"scheme": "egc:c=2", "workers": 4, "rounds": 60, "l2": L2, "step": "0.3"}
        given |= {"delay": "exponential:mean_s=1", "evaluate_every_rounds": 1, **settings}
        fresh, self.descent = make_master(ROWS, **given)
        first = 1 if resume is None else resume.round + 1
        self.machine = Master(fresh.plan, 0.0, first)
        self.cluster = VirtualCluster(
            self.machine,
            self.descent,
            RealArithmetic(ROWS),
            Timing(),
            [self],
            rating=self.rate,
            checked=True,
        )
        if resume is not None:
            restore(self.machine, self.descent, self.cluster.finishing, resume)
        for slot in range(4):
            self.cluster.start(f"w{slot}", slot)
        self.cluster.run()
        assert self.cluster.finished is not None
        assert self.cluster.finished.exit_code == EXIT_OK
        self.summary: RunSummary = self.cluster.conductor.conclude(Usage)

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)
        arrays = {
            **self.descent.state(),
            **self.machine.state(),
            **self.cluster.finishing.state(),
        }
        taken = Snapshot(record.round, "run", RunTimes(record.closed_s), arrays)
        self.states[record.round] = Snapshot.from_bytes(taken.to_bytes())

    def model(self, theta: FloatArray, start: RunStart, rounds: int) -> None:
        self.theta, self.of_round = np.array(theta), rounds

    def rate(self, theta: FloatArray) -> Iterator[dict[str, float] | None]:
        """An error that grows again when the model has learnt too much: 5 rounds are best."""
        yield None
        yield {"mse": abs(self.machine.rounds_done - 5.2), "r2": float(self.machine.rounds_done)}


def test_without_a_condition_all_rounds_are_done() -> None:
    played = Played()
    assert (played.summary.rounds, played.summary.met) == (60, "")
    assert played.summary.reason == "all 60 rounds done"
    assert played.summary.metrics["r2"] == 60
    assert all(math.isnan(record.gap) for record in played.records)


def test_the_first_condition_that_is_met_ends_the_run() -> None:
    played = Played(until=["gradient:1e-9", "loss-change:0.5", "time:1e9"])
    assert played.summary.rounds == 20
    assert played.summary.met == "loss-change:0.5"
    assert played.summary.reason == (
        "done, as asked by --until loss-change:0.5: over 20 rounds the loss changed by at most 0.5"
        " of itself a round"
    )
    assert [record.round for record in played.records] == list(range(1, 21))
    assert played.records[-1].metrics["r2"] == 20
    assert played.of_round == 20


def test_the_summary_says_how_far_the_run_has_come() -> None:
    assert Played(rounds=3).summary.verdict.startswith("not converged: the loss still falls by 0.")
    assert Played(step="1e3", rounds=5).summary.verdict.startswith(
        "not converged: the loss is above where it began, "
    )
    near = Played(optimizer="lbfgs", step="auto", until="gap:1e-4")
    assert near.summary.met == "gap:1e-4"
    assert near.summary.gap == near.records[-1].gap < 1e-4
    assert near.summary.verdict.startswith("converged: the loss is within about ")
    assert near.summary.rounds == near.of_round < 40
    soon = Played(optimizer="lbfgs", step="auto", until=["gradient:0.1", "gap:1e-4"])
    assert soon.summary.rounds < 10
    assert soon.summary.verdict == (
        "converged as asked for: the gradient's norm is at most 0.1 of the first round's"
    )
    timed = Played(until="time:3")
    assert "go on with --resume and another --until, or --optimizer" in timed.summary.verdict


@pytest.mark.parametrize(
    ("scheme", "advice"),
    [
        ("egc:c=2", "--optimizer auto, which"),
        ("agc:c=2,r=2,cache=sag", "--optimizer auto, which"),
        ("agc:c=2,r=2", "--optimizer auto with a cached scheme (cache=sag), which"),
    ],
)
def test_a_run_that_does_not_go_by_the_curvature_is_told_of_a_method_that_does(
    scheme: str, advice: str
) -> None:
    played = Played(rounds=3, optimizer="nesterov", step="auto", scheme=scheme)
    assert advice in played.summary.verdict
    auto = Played(rounds=1, optimizer="auto", step="auto", scheme="egc:c=2")
    assert auto.summary.verdict.endswith("give more --rounds")
    stepped = Played(rounds=1, optimizer="auto", step="0.3", scheme="egc:c=2")
    assert "--optimizer auto --step auto, which" in stepped.summary.verdict


def test_columns_of_very_different_size_are_a_hint() -> None:
    scaled = CsrRows(
        ROWS.indptr,
        ROWS.indices,
        np.where(ROWS.indices == 3, 1e-5, 1.0),
        ROWS.labels,
        ROWS.n_columns,
    )
    machine, _ = make_master(scaled, scheme="uncoded", workers=2)
    descent = make_descent(machine.plan, scaled, column_squares=scaled.column_squares())
    assert 5e4 < descent.column_spread() < 5e5
    # Where only a pass over the rows could tell, none is made.
    assert math.isnan(make_descent(machine.plan, scaled).column_spread())


def test_time_is_looked_at_when_a_round_closes() -> None:
    played = Played(until="time:7")
    closed = [record.closed_s for record in played.records]
    assert closed[-2] < 7 <= closed[-1]


def test_the_gradient_has_the_penalty_in_it() -> None:
    """The mean loss's own gradient does not vanish at the minimum."""
    played = Played(until="gradient:1e-3", rounds=5000)
    assert played.summary.rounds < 5000

    def norm(theta: FloatArray) -> float:
        X = ROWS.matrix().toarray()
        gradient = X.T @ (X @ theta - ROWS.labels) / len(X) + L2 * theta
        return float(np.linalg.norm(gradient))

    queries = [played.states[t].arrays["optimizer/theta"] for t in range(1, played.summary.rounds)]
    shares = [norm(theta) / norm(np.zeros(COLUMNS)) for theta in queries]
    assert shares[-1] <= 1e-3 < min(shares[:-1])


def test_a_metric_that_is_reached_ends_the_run_with_the_model_that_reached_it() -> None:
    played = Played(until="metric:r2=7")
    assert (played.summary.rounds, played.of_round) == (7, 7)
    assert played.summary.metrics["r2"] == 7
    assert played.summary.reason == "done, as asked by --until metric:r2=7: r2 is 7"
    model = Played(rounds=7).theta
    assert played.theta.tobytes() == model.tobytes()


def test_patience_keeps_the_best_model() -> None:
    played = Played(until="metric:mse,patience=20")
    assert (played.summary.rounds, played.of_round) == (25, 5)
    assert played.summary.metrics == {"mse": pytest.approx(0.2), "r2": 5.0}
    assert played.theta.tobytes() == Played(rounds=5).theta.tobytes()
    assert "mse was 0.2 after round 5 and not better since" in played.summary.reason


def test_patience_keeps_the_best_model_of_a_run_that_ends_otherwise() -> None:
    played = Played(until=["metric:mse,patience=20", "time:9"])
    assert played.summary.met == "time:9"
    assert 5 < played.summary.rounds < 25
    assert played.of_round == 5
    assert played.theta.tobytes() == Played(rounds=5).theta.tobytes()


@pytest.mark.parametrize("until", ["metric:mse,patience=20", "metric:r2=23", "gradient:0.3"])
def test_it_goes_on_bit_by_bit_from_any_round(until: str) -> None:
    whole = Played(until=until)
    for round_, taken in whole.states.items():
        again = Played(taken, until=until)
        assert (again.summary.rounds, again.summary.met) == (whole.summary.rounds, until)
        assert again.of_round == whole.of_round
        assert again.theta.tobytes() == whole.theta.tobytes()
        assert again.summary.metrics == whole.summary.metrics
        assert len(again.records) == whole.summary.rounds - round_


@pytest.mark.parametrize("scheme", ["cached", "uncoded:r=2,cache=sag", "egc:c=2"])
def test_runs_of_the_method_that_suits_them_go_on_bit_by_bit(scheme: str) -> None:
    """Of what is taken if nothing is named, too; to the estimated gap of each round."""
    settings = {"scheme": scheme, "optimizer": "auto", "step": "auto", "until": "gap:1e-6"}
    whole = Played(None, **settings)
    assert whole.summary.met == "gap:1e-6"
    for round_ in sorted(whole.states)[::6]:
        taken = whole.states[round_]
        again = Played(taken, **settings)
        assert again.theta.tobytes() == whole.theta.tobytes()
        gaps = [[record.gap for record in each.records] for each in (whole, again)]
        np.testing.assert_array_equal(gaps[0][round_:], gaps[1])
        assert again.summary.verdict == whole.summary.verdict


def test_another_condition_lets_a_run_go_on() -> None:
    whole = Played(until="metric:r2=23")
    again = Played(whole.states[23], until="metric:r2=29")
    assert (again.summary.rounds, again.of_round) == (29, 29)


@pytest.mark.parametrize(
    ("until", "sentence"),
    [
        ("metric:rmse=0.1", r"--until metric:rmse=0.1: a run of least-squares reports no metric"),
        (["metric:mse,patience=3", "metric:r2,patience=5"], "best model by mse and by r2"),
    ],
)
def test_what_a_run_cannot_be_asked_for(until: object, sentence: str) -> None:
    machine, descent = make_master(ROWS, scheme="uncoded", until=until)
    with pytest.raises(UsageError, match=sentence):
        make_finishing(machine.plan, descent, rated=True)


def test_a_metric_needs_test_rows() -> None:
    machine, descent = make_master(ROWS, scheme="uncoded", until="metric:mse=0.1")
    with pytest.raises(UsageError, match="needs test rows, and the store has none"):
        make_finishing(machine.plan, descent, rated=False)


class TestGap:
    """The gap of a method that knows the curvature, against the true one."""

    @pytest.mark.parametrize("seed", range(6))
    def test_it_is_hardly_ever_too_small_and_ends_the_run(self, seed: int) -> None:
        """So near the end of so small a problem every round is ten times better than the one
        before, and a median of five rounds is behind."""
        played = Played(
            until="gap:1e-6",
            optimizer="anchored-lbfgs:age=4",
            step="auto",
            scheme="uncoded:r=2,cache=sag",
            seed=seed,
        )
        assert played.summary.met == "gap:1e-6"
        least = objective(best_model(ROWS))
        whole = objective(np.zeros(COLUMNS)) - least
        ratios = []
        for record in played.records:
            theta = played.states[record.round].arrays["optimizer/theta"]
            ratios.append(record.gap * whole / (objective(theta) - least))
        known = [ratio for ratio in ratios if not math.isnan(ratio)]
        assert len(known) > 15
        assert 0.1 < float(np.quantile(known, 0.1)) < float(np.median(known)) < 20
        assert (objective(played.theta) - least) / whole < 1e-6
