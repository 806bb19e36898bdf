"""Every code, decoder, estimate and stop rule, on real workers that talk over real sockets.

Arrivals come in an order that nobody controls, which is the point: what is asserted holds for any.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.datasets.kc_housing import KcHousing
from erasurehead.datasets.manifest import Provenance
from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store, write_store
from erasurehead.decoding import DECODERS
from erasurehead.errors import EXIT_OK
from erasurehead.estimating import ESTIMATES
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.rows import CsrRows
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.stopping import STOPS
from erasurehead_local.pool import NurseryPool
from erasurehead_local.train import plan_here, run_on, turns_of

KC_HOUSING = Path(__file__).parents[3] / "shared" / "data" / "kc_house_data.csv.gz"
ROWS, TEST_ROWS = 420, 60
ROUNDS = 20
L2 = 2.0
"""Large, so that twenty rounds of gradient descent get close to the minimum."""

NEAR = 1e-6
"""Share of the initial gap to the minimum that exact gradients leave after so many rounds."""

CACHED_NEAR = 1e-2
"""The same with a cache, some of whose values may be many rounds old on a busy machine; under a
virtual clock, tests/simulator/test_cache_floor.py asks for more."""

# (scheme, workers). All of these decode the full gradient in every round.
EXACT = [
    ("uncoded", 6),
    ("frc:c=2", 6),
    ("frc:c=2 / first-copy:scale=coverage / residual:epsilon=0", 6),
    ("coupon:c=3 / least-squares / exact", 6),
    ("cyclic-repetition:s=2", 6),
    ("cyclic-mds:s=1", 6),
    ("cyclic-mds:s=2,field=complex", 6),
    ("reed-solomon:s=2,nodes=unity", 6),
    ("reed-solomon:s=2,nodes=chebyshev", 6),
    ("heterogeneous:s=1,speeds=1/1/1/2/2/3", 6),
    ("partial:s=1,alpha=2", 6),
    ("partial:s=1,alpha=3,inner=cyclic-repetition", 6),
    ("graph:d=3 / component / exact", 6),
    ("cyclic-sums:c=2 / circular / exact", 6),
    ("hybrid-sums:c1=1,c2=2,groups=2 / disjoint / exact", 6),
    ("egc:c=2,cache=saga", 6),
    ("egc:c=2,cache=sag", 6),
    ("uncoded:cache=svrg:every=4", 6),
    ("graph:d=3 / component / exact / saga", 6),
    ("cyclic-sums:c=2 / circular / exact / sag", 6),
    ("regular:c=3 / least-squares / exact / svrg:every=4", 6),
    ("frc:c=3,parts=tasks", 6),
    ("frc:c=2,parts=tasks / first-copy / exact / saga", 6),
]

# These take what there is when a few workers have answered.
APPROXIMATE = [
    ("agc:c=2,r=4", 6),
    ("agc:c=2,r=4,scale=unbiased", 6),
    ("agc:c=2,r=4,scale=group", 6),
    (
        "frc:c=2,groups=balanced,p=0.1/0.1/0.2/0.2/0.3/0.3 / first-copy:scale=coverage"
        " / adaptive:warmup=3",
        6,
    ),
    ("bernoulli:c=3 / algorithmic:steps=30 / fraction:r=5", 6),
    ("regularized-bernoulli:c=3 / least-squares / fraction:r=5", 6),
    ("stochastic-block:c=3 / least-squares / residual:epsilon=0.2", 6),
    ("regular:c=3 / one-step:scale=mean / fraction:r=5", 6),
    ("pairwise-balanced:d=3 / fixed:p=0.2 / fraction:r=5", 6),
    ("expander:d=3 / least-squares / fraction:r=5", 6),
    ("design / one-step:scale=optimal / fraction:r=6", 7),
    ("osgc:p=0.1/0.1/0.2/0.2/0.3/0.3 / fixed / fraction:r=5", 6),
    ("matched-cyclic:c=3,p=0.2 / fixed:shrink=mse / fraction:r=5", 6),
    ("frc:c=3,parts=tasks / first-copy:scale=group / fraction:r=7", 6),
]

# Counts seconds instead of answers.
DEADLINE = [("agc:c=2,deadline_s=0.25", 6)]

# Approximate with a cache: what was remembered stands in for what is missing.
CACHED = [
    ("agc:c=2,r=3,cache=saga", 6),
    ("agc:c=2,r=3,cache=sag", 6),
    ("agc:c=2,r=3,cache=svrg:every=4", 6),
    ("uncoded:r=4,cache=sag", 6),
    ("graph:d=3 / component / fraction:r=3 / saga", 6),
    ("cyclic-mds:s=1 / least-squares / fraction:r=4 / sag", 6),
    ("cached:c=3,r=7,parts=tasks", 6),
]


@dataclass(frozen=True)
class Problem:
    """Ridge regression on the rows of a store, in dense numpy and by itself.

    Approximate gradients leave at most `floor` of the initial gap: noise and bias keep them off
    the minimum, the further the less the rows have in common.
    """

    path: Path
    floor: float

    @cached_property
    def x(self) -> np.ndarray:
        rows = Store.open(self.path).train
        x = np.zeros((len(rows.labels), rows.n_columns))
        values = np.ones(len(rows.indices)) if rows.values is None else rows.values
        np.add.at(x, (np.repeat(np.arange(len(x)), np.diff(rows.indptr)), rows.indices), values)
        return x

    @cached_property
    def y(self) -> np.ndarray:
        return np.asarray(Store.open(self.path).train.labels)

    @cached_property
    def step(self) -> float:
        return float(1.0 / (np.linalg.norm(self.x, 2) ** 2 / len(self.y) + L2))

    @cached_property
    def minimum(self) -> float:
        # (X'X/N + l2 I)^-1 X'y/N through the smaller of the two Gram matrices.
        n = len(self.y)
        dual = np.linalg.solve(self.x @ self.x.T / n + L2 * np.eye(n), self.y / n)
        return self.value(self.x.T @ dual)

    @cached_property
    def descended(self) -> np.ndarray:
        """Gradient descent as an uncoded run does it, in one process."""
        theta = np.zeros(self.x.shape[1])
        for _ in range(ROUNDS):
            gradient = self.x.T @ (self.x @ theta - self.y) / len(self.y) + L2 * theta
            theta = theta - self.step * gradient
        return theta

    def value(self, theta: np.ndarray) -> float:
        return float(0.5 * np.mean((self.x @ theta - self.y) ** 2) + 0.5 * L2 * theta @ theta)

    def gap(self, theta: np.ndarray) -> float:
        """Share of the initial gap to the minimum that is left."""
        start = self.value(np.zeros_like(theta))
        return (self.value(theta) - self.minimum) / (start - self.minimum)


class Watch(Observer):
    def __init__(self) -> None:
        self.records: list[RoundRecord] = []
        self.notices: list[str] = []
        self.theta: np.ndarray = np.zeros(0)

    def round_over(self, record: RoundRecord) -> None:
        self.records.append(record)

    def notice(self, level: str, text: str) -> None:
        self.notices.append(text)

    def model(self, theta: np.ndarray, start: RunStart, rounds: int) -> None:
        self.theta = theta.copy()


@pytest.fixture(scope="module")
def problem(tmp_path_factory: pytest.TempPathFactory) -> Problem:
    """Some real house sales on the columns they touch; made-up ones where those are not at hand."""
    out = tmp_path_factory.mktemp("stores") / "houses"
    if not KC_HOUSING.exists():
        shape = {"rows": str(ROWS + TEST_ROWS), "columns": "2500", "nnz": "19"}
        prepare("synthetic", source=None, out=out, options={**shape, "labels": "numbers"})
        return Problem(out, floor=0.25)
    encoded = KcHousing(KC_HOUSING, False).encode()
    rows = [encoded.train.rows(0, ROWS), encoded.test.rows(0, TEST_ROWS)]
    touched, columns = np.unique(
        np.concatenate([part.indices for part in rows]), return_inverse=True
    )
    pieces = np.split(columns, [len(rows[0].indices)])
    training, test = (
        CsrRows(part.indptr, piece.astype(np.int32), part.values, part.labels, len(touched))
        for part, piece in zip(rows, pieces, strict=True)
    )
    made = Provenance("subset", "", "test", {}, {})
    write_store(out, "houses", encoded.target, training, test, made)
    return Problem(out, floor=0.05)


Run = Callable[..., Watch]


@pytest.fixture(scope="module")
def run(problem: Problem) -> Iterator[Run]:
    """Train with delays of a few milliseconds, so that any worker may be the last.

    Each run has workers of its own, forked from one nursery.
    """
    pool = NurseryPool()

    def train(scheme: str, workers: int, **changes: object) -> Watch:
        watch = Watch()
        given = {
            "store": str(problem.path),
            "scheme": scheme,
            "workers": workers,
            "rounds": ROUNDS,
            "until": "none",
            "step": repr(problem.step),
            "l2": L2,
            "delay": "exponential:mean_s=0.004",
            "evaluate_every_rounds": ROUNDS,
            # No worker is sent a round twice, however slow it is.
            "membership": {"silence_limit_s": 300.0, "heartbeat_interval_s": 60.0},
            **changes,
        }
        planned = plan_here(load(RunSettings, given, environment={}))
        with pool.lend(turns_of(planned)) as cluster:
            summary = run_on(cluster, planned, [watch], begun=time.monotonic())
        assert summary.exit_code == EXIT_OK
        assert summary.rounds == given["rounds"]
        assert not summary.refused
        return watch

    yield train
    pool.close()


@pytest.mark.parametrize(("scheme", "workers"), EXACT)
def test_exact_schemes_equal_one_process(
    problem: Problem, run: Run, scheme: str, workers: int
) -> None:
    """Rounding of what is sent is magnified by the code's amplification and by nothing else."""
    watch = run(scheme, workers)
    amplification = max(record.amplification for record in watch.records)
    bound = max(1e-10, 1e-13 * amplification)
    expected = problem.descended
    assert np.max(np.abs(watch.theta - expected)) <= bound * np.max(np.abs(expected))
    assert problem.gap(watch.theta) < NEAR


@pytest.mark.parametrize(("scheme", "workers"), APPROXIMATE)
def test_approximate_schemes_come_down_to_their_floor(
    problem: Problem, run: Run, scheme: str, workers: int
) -> None:
    """The delays are far longer than jitter: who is late is the seed's choice on any machine."""
    watch = run(scheme, workers, delay="exponential:mean_s=0.06")
    assert problem.gap(watch.theta) < problem.floor


@pytest.mark.parametrize(("scheme", "workers"), DEADLINE)
def test_a_deadline_comes_down_to_its_floor(
    problem: Problem, run: Run, scheme: str, workers: int
) -> None:
    """Long enough for what computing and sending take when the machine is busy."""
    watch = run(scheme, workers, delay="exponential:mean_s=0.4")
    assert problem.gap(watch.theta) < problem.floor
    answers = {len(record.arrivals) for record in watch.records}
    assert len(answers) > 1, "as many in every round: it is not the clock that closes them"


@pytest.mark.parametrize(
    "scheme", ["frc:c=2,groups=balanced / fraction:r=4", "osgc / fixed / fraction:r=4"]
)
def test_tasks_are_placed_anew_by_what_the_rounds_taught(
    problem: Problem, run: Run, scheme: str
) -> None:
    """Of six workers two, which share a group at first, are a second late in every round."""
    watch = run(
        scheme,
        6,
        rounds=60,
        seed=9,
        delay="persistent:count=2,slow_s=1,jitter_s=0.004",
        refit={"regroup_after_rounds": 5},
    )
    said = [re.match(r"regrouping after round (\d+)", text) for text in watch.notices]
    (first, *_) = [int(match[1]) for match in said if match]
    errors = [record.decode_error for record in watch.records]
    assert np.mean(errors[first:]) < np.mean(errors[:first])
    assert problem.gap(watch.theta) < problem.floor


@pytest.mark.parametrize(("scheme", "workers"), CACHED)
def test_cached_schemes_come_near(problem: Problem, run: Run, scheme: str, workers: int) -> None:
    watch = run(scheme, workers)
    assert problem.gap(watch.theta) < CACHED_NEAR


def test_nothing_is_left_out() -> None:
    schemes = [parse(text) for text, _ in EXACT + APPROXIMATE + DEADLINE + CACHED]
    assert {scheme.code.name for scheme in schemes} == set(CODES)
    assert {scheme.decoder.name for scheme in schemes} == set(DECODERS)
    assert {scheme.stop.name for scheme in schemes} == set(STOPS)
    assert {scheme.estimate.name for scheme in schemes} == set(ESTIMATES)
