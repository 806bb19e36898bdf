"""The search, on a store where a hundred trials take a second."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.models import MODELS
from erasurehead.optimizing.penalty import L2
from erasurehead.registry import Spec
from erasurehead.schemes.scheme import Scheme
from erasurehead.schemes.shorthands import egc, uncoded
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_simulator.laws.quantities import Expectation, Quantity
from erasurehead_simulator.planner import trials
from erasurehead_simulator.planner.candidates import Candidate, Traits
from erasurehead_simulator.planner.parallel import Crew
from erasurehead_simulator.planner.problem import Problem, sample
from erasurehead_simulator.planner.results import SearchResult, Trial
from erasurehead_simulator.planner.search import Effort, search
from erasurehead_simulator.planner.target import Target, rate_of
from erasurehead_simulator.planner.trials import Outcome, try_all

GD = "gradient descent"
SLOW_ONE = "persistent:count=1,slow_s=5,jitter_s=0.05"


def settings(store: Path, **changes: object) -> RunSettings:
    given = {"store": str(store), "workers": 4, "rounds": 60, "step": "2.0", "delay": SLOW_ONE}
    return load(RunSettings, {**given, "l2": 0.0, **changes}, environment={})


def test_a_slow_worker_is_planned_around(small_store: Path) -> None:
    """One of four is held up by 5 s: whoever waits for all pays that each round, a repetition code
    of load 2 never has to, and still gets the exact gradient."""
    effort = Effort(seeds=2, finalists=1, sample_rows=400)
    found = search(settings(small_store), Target("loss", 0.66), 2, 0.2, effort)
    by_scheme = {t.candidate.text: t for t in found.trials}
    waiting = by_scheme["uncoded"]
    # Partial results: two halves of an exact round may come from two workers.
    exact = by_scheme["frc:c=2,parts=tasks / first-copy:scale=coverage / exact"]
    assert waiting.median_s > 5 * waiting.median_rounds
    assert exact.rounds[0] == waiting.rounds[0] == found.exact_rounds
    # Each round costs half a pass and the jitter.
    assert 0.1 < exact.median_s / exact.median_rounds < 1.0
    assert found.best.median_s <= exact.median_s
    assert found.best in found.frontier
    times = [t.median_s for t in found.frontier]
    assert times == sorted(times, reverse=True)
    assert found.stored_bytes > 0
    assert waiting.expected.mean(Quantity.ROUND_S) is None


def test_exact_rounds_are_those_of_plain_gradient_descent(small_store: Path) -> None:
    store = Store.open(small_store)
    x, y = store.train.matrix(), np.asarray(store.train.labels)
    theta, losses = np.zeros(x.shape[1]), []
    for _ in range(30):
        theta = theta + 2.0 * (x.T @ (y / (1 + np.exp(y * (x @ theta))))) / len(y)
        losses.append(float(np.mean(np.logaddexp(0.0, -y * (x @ theta)))))
    found = search(
        settings(small_store, workers=2),
        Target("loss", losses[17]),
        1,
        1.0,
        Effort(seeds=1, finalists=1, sample_rows=10**6),
    )
    assert found.exact_rounds == 18
    assert found.sample_rows == found.training_rows == len(y)


def test_what_is_tried_on_a_sample_has_the_penalty_of_all_rows(small_store: Path) -> None:
    weight, whole = Store.open(small_store).manifest.rows, small_store
    asked = {"uncoded": uncoded()}
    found = [
        search(
            settings(whole, l2=l2, delay="exponential:mean_s=1"),
            Target("loss", 0.67),
            1,
            0.0,
            Effort(seeds=1, finalists=1, sample_rows=400),
            asked,
        )
        for l2 in ("auto", 1 / weight)
    ]
    assert found[0].best.times_s == found[1].best.times_s


def test_a_test_metric_can_be_the_target(small_store: Path) -> None:
    said: list[str] = []
    effort = Effort(seeds=1, finalists=1, sample_rows=100)
    asked = {"frc:c=4 / exact": egc(c=4)}
    found = search(settings(small_store), Target("auc", 0.52), 1, 0.0, effort, asked, said.append)
    assert found.sample_rows == 100
    assert any(t.candidate.scheme == egc(c=4) for t in found.trials)
    assert any(t.candidate.text == "frc:c=4 / exact" for t in found.trials)
    assert said[0].startswith("exact gradient descent reaches auc=0.52 in round ")
    assert said[-1] == "seed 1 of 1 done"


def test_each_scheme_is_ranked_and_tried_with_the_method_that_suits_it(small_store: Path) -> None:
    """Where the method is left open, exact rounds have L-BFGS, cached ones the anchored kind."""
    effort = Effort(seeds=1, finalists=1, sample_rows=300)
    delay = {"delay": "exponential:mean_s=0.5", "step": "auto", "l2": 1e-3}
    found = search(settings(small_store, **delay), Target("loss", 0.4), 1, 0.0, effort)
    assert found.exact_method == "lbfgs"
    by_kind = {t.candidate.kind: t.median_rounds for t in found.trials}
    assert by_kind["exact"] == found.exact_rounds < 5
    assert math.isfinite(by_kind["sag"])


@pytest.mark.parametrize(
    ("scheme", "sentence"),
    [("uncoded", "takes? a scheme with the estimate sag"), ("uncoded:r=2,cache=sag", None)],
)
def test_a_method_that_follows_units_is_planned_for(
    scheme: str, sentence: str | None, small_store: Path
) -> None:
    changes = {"optimizer": "anchored-lbfgs", "step": "auto", "delay": "exponential:mean_s=0.5"}
    given, effort = settings(small_store, **changes), Effort(seeds=1, finalists=1, sample_rows=300)
    asked = {scheme: parse(scheme)}
    if sentence is not None:
        with pytest.raises(UsageError, match=sentence):
            search(given, Target("loss", 0.66), 1, 0.0, effort, asked)
        return
    found = search(given, Target("loss", 0.66), 1, 0.0, effort, asked)
    assert {t.candidate.kind for t in found.trials} == {"sag"}
    assert found.exact_method == "anchored lbfgs"


def test_the_best_of_each_kind_is_tried(small_store: Path) -> None:
    """With one finalist a load, too: caches and the adaptive rule cannot be judged by rounds
    without gradients alone."""
    effort = Effort(seeds=1, finalists=1, sample_rows=200)
    delay = {"delay": "exponential:mean_s=0.5", "workers": 6}
    found = search(settings(small_store, **delay), Target("loss", 0.67), 2, 0.1, effort)
    for stored in (1, 2):
        kinds = {t.candidate.kind for t in found.trials if t.candidate.load == stored}
        assert kinds == {"exact", "approximate", "adaptive", "saga", "sag", "svrg"}
    assert all(len(t.times_s) == 1 for t in found.trials)


def test_more_processes_find_the_same(small_store: Path) -> None:
    found = []
    for jobs in (1, 2):
        effort = Effort(seeds=2, finalists=2, sample_rows=200, jobs=jobs)
        given = settings(small_store, delay="exponential:mean_s=0.5", step="auto")
        found.append(
            search(given, Target("loss", 0.67), 1, 0.1, effort, {"uncoded:r=3": uncoded(r=3)})
        )
    alone, together = ([(t.candidate, t.times_s, t.round_s) for t in f.trials] for f in found)
    assert alone == together
    assert any(candidate.text == "uncoded:r=3" for candidate, *_ in alone)


def test_fewer_tasks_than_workers(small_store: Path) -> None:
    given = settings(small_store, workers=6, tasks=3, step="auto", delay="exponential:mean_s=0.5")
    effort = Effort(seeds=1, finalists=1, sample_rows=200)
    found = search(given, Target("loss", 0.68), 2, 0.1, effort)
    assert math.isfinite(found.best.median_s)


def test_an_impossible_load_is_refused_before_anything_trains(small_store: Path) -> None:
    said: list[str] = []
    with pytest.raises(UsageError, match="--max-load 9 does not fit 4 workers"):
        search(settings(small_store), Target("loss", 0.6), 9, 0.1, Effort(), progress=said.append)
    assert said == []


def test_a_cluster_without_any_scheme_is_one_sentence(small_store: Path) -> None:
    given = settings(small_store, workers=3, tasks=1)
    with pytest.raises(UsageError, match="no scheme exists for 3 workers and 1 tasks within"):
        search(given, Target("loss", 0.6), 2, 0.1, Effort())


def test_a_metric_that_the_test_rows_do_not_define_is_one_sentence(small_store: Path) -> None:
    store = Store.open(small_store)
    one_class = int(np.argmin(store.test.labels == store.test.labels[0]))
    few = sample(store, 50, one_class)
    with pytest.raises(UsageError, match=rf"'auc' is not defined on the {one_class} test rows"):
        rate_of(
            few, MODELS.build("logistic", few.manifest.columns, None), Target("auc", 0.6), L2(0.0)
        )


def test_a_sample_is_the_first_rows(small_store: Path) -> None:
    store = Store.open(small_store)
    few = sample(store, 50, 20)
    assert few.manifest.rows == len(few.train.labels) == 50
    assert few.manifest.test_rows == len(few.test.labels) == 20
    assert np.array_equal(few.train.labels, store.train.labels[:50])


@pytest.mark.parametrize(
    ("target", "changes", "effort", "sentence"),
    [
        ("auc=2", {}, Effort(), "exact gradient descent does not reach auc=2 in 60 rounds on 320"),
        ("mse=0.1", {}, Effort(), "reports no metric 'mse'; --target can be auc, accuracy"),
        ("auc=0.6", {}, Effort(seeds=0), "--seeds 0 is too few"),
        ("auc=0.6", {}, Effort(finalists=0), "--finalists 0 is too few"),
        ("auc=0.6", {}, Effort(sample_rows=0), "--sample-rows 0 is too few"),
        ("auc=0.6", {}, Effort(jobs=0), "--jobs 0 is too few"),
        ("auc=0.6", {"step": "-1"}, Effort(), "-1"),
    ],
)
def test_bad_input_is_one_sentence(
    target: str, changes: dict[str, object], effort: Effort, sentence: str, small_store: Path
) -> None:
    with pytest.raises(UsageError, match=sentence) as refused:
        search(settings(small_store, **changes), Target.parse(target), 2, 0.1, effort)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("auc", "is not of the form METRIC=VALUE"),
        ("auc=high", "is not of the form METRIC=VALUE"),
        ("auc=nan", "is not of the form METRIC=VALUE"),
        ("acu=0.6", "did you mean 'auc'"),
    ],
)
def test_a_bad_target_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Target.parse(text)


def test_targets_know_which_way_is_better() -> None:
    assert Target.parse("auc=0.7").reached(0.71)
    assert not Target.parse("auc=0.7").reached(0.69)
    assert Target.parse("loss = 0.5").reached(0.49)
    assert not Target.parse("mse=0.5").reached(0.51)


PLAIN = Traits("approximate", plays_alone=False, renews_on_arrival=False, sums_memory=False)


def candidate(name: str, load: float) -> Candidate:
    return Candidate(Scheme(Spec(name), Spec("made-up"), Spec("made-up")), load, PLAIN)


def trial(load: float, *times_s: float) -> Trial:
    return Trial(
        candidate(f"load {load}, {times_s}", load),
        1.0,
        0.0,
        0.0,
        Expectation(),
        times_s,
        tuple(times_s),
    )


def test_the_frontier_has_what_no_other_beats() -> None:
    slow, fast, heavy = trial(1, 9, 9, 9), trial(1, 4, 5, 6), trial(2, 5, 6, 5)
    better, hasty, missed = trial(3, 1, 2, math.inf), trial(3, 1.5), trial(2, math.inf, 1, math.inf)
    every = (slow, fast, heavy, better, hasty, missed)
    found = SearchResult(Target("auc", 0.7), 3, every, 50, GD, 10, 100, 100, 1000)
    # `hasty` was given up after one seed, so its one time does not count.
    assert found.frontier == (fast, better)
    assert found.best is better
    assert found.confidence == 0.75


def test_rivals_are_those_whose_ranges_overlap_the_bests() -> None:
    best, close, far = trial(1, 4, 5, 6), trial(2, 6, 6, 8), trial(3, 6.5, 7, 7)
    found = SearchResult(
        Target("auc", 0.7), 3, (best, close, far), 50, "gradient descent", 10, 100, 100, 1000
    )
    assert found.rivals == (close,)


@pytest.mark.parametrize(
    ("times_s", "tried"),
    [
        # Loads 2.5 and 3 are rivals; who is far behind, or never arrives, is tried once.
        ({3.0: [1, 1, 1], 2.5: [1.6, 1, 1], 2.75: [math.inf] * 3, 2.0: [9, 9, 9]}, [3, 1, 1, 3]),
        # The best under the first seed never arrives again.
        ({3.0: [1, math.inf, math.inf], 2.5: [5, 5, 5], 2.75: [math.inf] * 3}, [3, 3, 1]),
    ],
)
def test_hopeless_schemes_are_tried_once(
    small_store: Path,
    times_s: dict[float, list[float]],
    tried: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times_of = {f"load {load}": row for load, row in times_s.items()}

    def known(problem: Problem, settings_and_scheme: tuple[RunSettings, Scheme]) -> Outcome:
        """Say how long a scheme takes under a seed."""
        given, scheme = settings_and_scheme
        time_s = times_of[scheme.code.name][given.run.seed]
        return Outcome(time_s, time_s)

    problem = Problem(settings(small_store, seed=0), Target("loss", 0.66), 0.1, 100)
    finalists = [candidate(f"load {load}", load) for load in times_s]
    monkeypatch.setattr(trials, "attempt", known)
    outcomes = try_all(Crew(problem, None), problem, finalists, 3, lambda text: None)
    assert [len(outcomes[c]) for c in finalists] == tried


def test_a_search_needs_a_scheme_that_arrives_under_most_seeds() -> None:
    """Times of schemes that were tried once do not count."""
    once, never = trial(1, 1.0), trial(2, 1.0, math.inf, math.inf)
    found = SearchResult(
        Target("auc", 0.7), 3, (once, never), 50, "gradient descent", 10, 100, 100, 1000
    )
    assert found.frontier == ()
