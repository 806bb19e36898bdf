"""Residual and adaptive rules, and the wrappers that learn or wait, on rounds made by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import Decoder, DecoderContext
from erasurehead.errors import UsageError
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.regrouping import go_on
from erasurehead.schemes.text import parse
from erasurehead.stopping import STOPS
from erasurehead.stopping.adaptive import AdaptiveStop
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.observing import LearningStop
from erasurehead.stopping.snapshot import SnapshotStop
from erasurehead.straggling.estimate import StragglerEstimate
from tests.support.grouped import groups_of


@dataclass
class Round:
    """A round under a clock that stands where it is put."""

    decoder: Decoder
    n_arrived: int = 0
    elapsed_s: float = 0.0
    arrivals: list[tuple[int, float]] = field(default_factory=list)

    @property
    def n_arrivals(self) -> int:
        return self.decoder.code.n_arrivals

    def play(self, rule: StopRule, times_s: FloatArray) -> tuple[str, float]:
        """Let slots arrive at these times (inf: never) until the rule closes; why, and when."""
        self.decoder.begin()
        self.n_arrived, self.elapsed_s, self.arrivals = 0, 0.0, []
        deadline = rule.deadline_s()
        reason: str | None = None
        for slot in np.argsort(times_s).tolist():
            after = float(times_s[slot])
            if deadline is not None and deadline < after:
                self.elapsed_s, deadline = deadline, None
                reason = rule.judge(self)
            if reason or not np.isfinite(after):
                break
            self.elapsed_s = after
            self.decoder.arrive(slot)
            self.arrivals.append((slot, after))
            self.n_arrived += 1
            reason = rule.judge(self)
            if reason:
                break
        rule.observe(self.arrivals, self.elapsed_s)
        return reason or "nobody else can arrive", self.elapsed_s


def make_round(code: str = "frc:c=3", k: int = 30) -> Round:
    built = CODES.build(code, k, None, np.random.default_rng(0))
    return Round(DECODERS.build("first-copy:scale=coverage", built, DecoderContext()))


def adaptive(round_: Round, options: str = "") -> AdaptiveStop:
    rule = STOPS.build(f"adaptive{':' if options else ''}{options}", round_.decoder.code)
    assert isinstance(rule, AdaptiveStop)
    return rule


def test_residual_closes_when_the_error_is_small() -> None:
    round_ = make_round("frc:c=2,groups=consecutive", 8)
    rule = STOPS.build("residual:epsilon=0.4", round_.decoder.code)
    assert rule.judge(round_) is None
    reason, _ = round_.play(rule, np.arange(8.0))
    # Blocks 0, 0, 1, 1, 2: with 3 of 4 blocks the error of coverage scaling is 4/3 - 1 = 1/3.
    assert reason == "decode error 0.333 after 5 of 8"
    rule = STOPS.build("residual:epsilon=0", round_.decoder.code)
    assert round_.play(rule, np.arange(8.0))[0] == "all 4 groups covered"


def test_adaptive_waits_for_everything_while_warming_up() -> None:
    round_ = make_round()
    rule = adaptive(round_, "warmup=2")
    rng = np.random.default_rng(0)
    for number in (1, 2):
        reason, _ = round_.play(rule, rng.exponential(size=30))
        assert reason == f"warm-up {number} of 2, all 10 groups covered"
    reason, _ = round_.play(rule, rng.exponential(size=30))
    assert "predicted best" in reason or "groups covered" in reason


def mean_times_and_errors(delays: FloatArray, round_: Round) -> tuple[FloatArray, FloatArray]:
    """The mean time and decode error at each r-th arrival, or when exact before it."""
    k = delays.shape[1]
    times, errors = np.empty((len(delays), k)), np.empty((len(delays), k))
    for i, row in enumerate(delays):
        round_.decoder.begin()
        for m, slot in enumerate(np.argsort(row).tolist()):
            if not round_.decoder.exact:
                round_.decoder.arrive(slot)
                now = row[slot]
            times[i, m], errors[i, m] = now, round_.decoder.error()
    return times.mean(axis=0), errors.mean(axis=0)


def brute_force_r(delays: FloatArray, round_: Round, noise: float) -> int:
    """The r with the least mean time (1 + noise mean error), from all the delays."""
    times, errors = mean_times_and_errors(delays, round_)
    return int(np.argmin(times * (1 + noise * errors))) + 1


@pytest.mark.parametrize("noise", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("heavy_tail", [False, True])
def test_adaptive_finds_the_cheapest_r(noise: float, heavy_tail: bool) -> None:
    """Exponential delays, and some workers ten times as slow: the cost of the chosen r is within
    10 % of the cheapest."""
    rng = np.random.default_rng(1)
    delays = 0.1 + rng.exponential(0.5, size=(400, 30))
    if heavy_tail:
        delays[:, :6] *= 10
    round_ = make_round()
    rule = adaptive(round_, f"noise={noise},warmup=20,most_error=100")
    for row in delays:
        round_.play(rule, row)
    best = brute_force_r(delays, round_, noise)

    def cost(r: int) -> float:
        total_s, total_error = 0.0, 0.0
        for row in delays:
            round_.decoder.begin()
            for slot in np.argsort(row)[:r].tolist():
                round_.decoder.arrive(slot)
                total_s += 0.0
                last = row[slot]
                if round_.decoder.exact:
                    break
            total_s += last
            total_error += round_.decoder.error()
        return total_s * (1 + noise * total_error / len(delays))

    assert cost(rule.r) <= 1.1 * cost(best)


def test_adaptive_does_not_choose_a_useless_estimate() -> None:
    """Without a base time the first arrival is quick: it is not chosen, as 1 of 10 blocks has a
    decode error of 9."""
    rng = np.random.default_rng(6)
    round_ = make_round()
    free, bounded = adaptive(round_, "noise=0,most_error=100"), adaptive(round_, "noise=0")
    for row in rng.exponential(size=(80, 30)):
        round_.play(free, row)
        round_.play(bounded, row)
    assert free.r == 1
    assert 7 <= bounded.r <= 12


def test_adaptive_follows_a_change() -> None:
    """Equal workers, then six become very slow: fewer arrivals are waited for."""
    rng = np.random.default_rng(2)
    round_ = make_round("uncoded")
    rule = adaptive(round_, "noise=1")
    for _ in range(60):
        round_.play(rule, 1.0 + 0.01 * rng.random(30))
    before = rule.r
    for _ in range(150):
        times = 1.0 + 0.01 * rng.random(30)
        times[:6] += 20.0
        _, closed_s = round_.play(rule, times)
    assert before >= 28
    assert 20 <= rule.r <= 24
    assert closed_s < 3.0


def test_adaptive_by_deadline_closes_on_time() -> None:
    rng = np.random.default_rng(3)
    round_ = make_round()
    rule = adaptive(round_, "by=deadline,explore=10")
    reasons = []
    for _ in range(100):
        times = 0.1 + rng.exponential(0.5, size=30)
        wanted = rule.deadline_s()
        reason, closed_s = round_.play(rule, times)
        reasons.append(reason)
        if reason.startswith("deadline"):
            assert wanted is not None
            assert closed_s >= wanted
            assert len(round_.arrivals) >= 1
    assert sum(reason.startswith("deadline of 0.") for reason in reasons) > 50
    # It does not creep away: the deadline is still that of a typical r-th arrival.
    final = rule.deadline_s()
    assert final is not None
    assert 0.1 < final < 1.5


def test_adaptive_deadlines_do_not_creep() -> None:
    """Rounds that are exact before the deadline are the quick ones. In the mean of many rounds the
    deadline is nevertheless that of the r-th arrival, or of an exact gradient before it."""
    rng = np.random.default_rng(7)
    round_ = make_round("frc:c=2", 6)
    rule = adaptive(round_, "by=deadline,noise=10")
    delays = rng.exponential(0.5, size=(3000, 6))
    means = mean_times_and_errors(delays, round_)[0]
    deadlines, true = [], []
    for number, row in enumerate(delays):
        explores = (number - rule.warmup) % rule.explore == rule.explore - 1
        if number >= 500 and not explores:
            deadline_s = rule.deadline_s()
            assert deadline_s is not None
            deadlines.append(deadline_s)
            true.append(means[rule.r - 1])
        round_.play(rule, row)
    assert np.mean(deadlines) == pytest.approx(np.mean(true), rel=0.1)


def test_adaptive_does_not_mistake_quick_rounds_for_a_larger_r() -> None:
    """Rounds that are exact before the r-th arrival would have ended there for any larger r, too.
    But the others do not show what a larger r brings, so that it would seem better than it is."""
    rng = np.random.default_rng(8)
    round_ = make_round("frc:c=3", 12)
    rule = adaptive(round_)
    delays = rng.exponential(0.5, size=(2000, 12))
    chosen = []
    for row in delays:
        round_.play(rule, row)
        chosen.append(rule.r)
    times, errors = mean_times_and_errors(delays, round_)
    costs = np.where(errors <= 0.5, times * (1 + errors), np.inf)
    best = int(np.argmin(costs))
    # A larger one is tried now and then, until it shows what it costs.
    assert abs(np.mean(chosen[500:]) - (best + 1)) < 0.6


def test_adaptive_lives_with_dead_workers() -> None:
    """Six slots never answer and everybody else always does: rounds end, r is what there is."""
    round_ = make_round("uncoded")
    rule = adaptive(round_)
    rng = np.random.default_rng(4)
    for _ in range(60):
        times = 1.0 + 0.1 * rng.random(30)
        times[:6] = np.inf
        reason, _ = round_.play(rule, times)
    assert rule.r <= 24
    assert "arrived" in reason


def cached_choice(delays: FloatArray, round_: Round, progress: float) -> list[float]:
    """Predicted time to target of each r from all the delays, with FRC's blocks remembered."""
    code = round_.decoder.code
    order = np.argsort(delays, axis=1)
    costs = []
    for r in range(1, code.n_workers + 1):
        first = groups_of(code).of_symbol[order[:, :r]]
        phi = np.mean([len(set(row)) for row in first.tolist()]) / groups_of(code).count
        if phi == 1:
            break
        rate, own = -np.log(1 - progress), -np.log(1 - phi)
        rounds = (1 + (rate / own) ** 4) ** 0.25
        costs.append(float(np.sort(delays, axis=1)[:, r - 1].mean() * rounds))
    return costs


@pytest.mark.parametrize("base_s", [0.02, 0.5])
@pytest.mark.parametrize("progress", [0.05, 0.25, 0.5])
def test_with_a_cache_adaptive_weighs_staleness(base_s: float, progress: float) -> None:
    """What it settles on costs within 10 % of the best r of at least 2 (one unit is too few), and
    slow problems are given staler gradients."""
    rng = np.random.default_rng(1)
    delays = base_s + rng.exponential(0.5, size=(400, 30))
    round_ = make_round()
    rule = adaptive(round_, f"warmup=5,progress={progress}")
    rule.remember(groups_of(round_.decoder.code).of_symbol.tolist())
    for row in delays:
        round_.play(rule, row)
    costs = cached_choice(delays, round_, progress)
    assert rule.r >= 2
    assert costs[rule.r - 1] <= 1.1 * min(costs[1:])


def test_with_a_cache_one_exact_round_is_enough() -> None:
    """Unless said otherwise: `warmup` is 1, and the reason tells what r arrivals renew."""
    round_ = make_round("uncoded")
    rule, told = adaptive(round_), adaptive(round_, "warmup=3")
    for each in (rule, told):
        each.remember(range(30))
    times = np.arange(1.0, 31.0)
    assert round_.play(rule, times)[0].startswith("warm-up 1 of 1")
    assert round_.play(told, times)[0].startswith("warm-up 1 of 3")
    reason, _ = round_.play(rule, times)
    assert f"r={rule.r} predicted best" in reason
    assert f"renewing {rule.r / 30:.0%} of the cache" in reason


@pytest.mark.parametrize("cached", [False, True])
def test_adaptive_resumes_from_its_state(cached: bool) -> None:
    rng = np.random.default_rng(5)
    delays = rng.exponential(size=(60, 30))
    round_ = make_round()
    whole, first, second = adaptive(round_), adaptive(round_), adaptive(round_)
    if cached:
        for rule in (whole, first, second):
            rule.remember(groups_of(round_.decoder.code).of_symbol.tolist())
    for row in delays[:40]:
        round_.play(whole, row)
        round_.play(first, row)
    second.load_state(first.state())
    for row in delays[40:]:
        assert round_.play(whole, row) == round_.play(second, row)
    assert whole.r == second.r


def test_only_estimates_that_renew_what_arrives_tell_the_rule() -> None:
    """saga and sag do, plain sums and snapshots do not."""
    for cache, remembers in (("saga", True), ("sag", True), ("sum", False), ("svrg", False)):
        scheme = f"frc:c=3 / first-copy / adaptive / {cache}"
        stop = Coding.of(parse(scheme), 12).begin().stop
        rule = stop.rule if isinstance(stop, SnapshotStop) else stop
        assert isinstance(rule, AdaptiveStop)
        assert rule.warmup == (1 if remembers else 5)


def test_learning_counts_who_was_in_time() -> None:
    round_ = make_round("uncoded", 4)
    estimate = StragglerEstimate(4)
    rule = LearningStop(STOPS.build("fraction:r=3", round_.decoder.code), estimate)
    for _ in range(200):
        reason, _ = round_.play(rule, np.array([1.0, 2.0, 3.0, 4.0]))
    assert reason == "3 of 4 arrived"
    assert rule.deadline_s() is None
    assert (estimate.probabilities[:3] < 0.05).all()
    assert estimate.probabilities[3] > 0.95
    other = LearningStop(STOPS.build("exact", round_.decoder.code), StragglerEstimate(4))
    other.load_state(rule.state())
    np.testing.assert_array_equal(other.estimate.probabilities, estimate.probabilities)


@pytest.mark.parametrize(
    ("scheme", "slow"),
    [
        ("agc:c=3,r=11,scale=group", 1.0),
        ("agc:c=3,r=20,scale=group", 1.0),
        ("agc:c=10,r=20,scale=group", 1.0),
        ("agc:c=3,r=11,scale=group", 5.0),
        ("agc:c=3,deadline_s=0.7,scale=group", 5.0),
        ("frc:c=3 / first-copy:scale=group / residual:epsilon=0.3", 1.0),
        ("frc:c=3 / first-copy:scale=group / exact", 5.0),
        # One weight a slot, for codes without groups.
        ("pairwise-balanced:d=3 / fixed / fraction:r=11", 1.0),
        ("pairwise-balanced:d=3 / fixed / fraction:r=6", 1.0),
        ("pairwise-balanced:d=3 / fixed / fraction:r=15", 3.0),
        ("uncoded / fixed / deadline:after_s=0.7", 3.0),
    ],
)
def test_learnt_weights_are_unbiased_under_any_rule(scheme: str, slow: float) -> None:
    """Mean alpha of each task over 6,000 rounds of exponential delays is 1 within five standard
    errors, and over all tasks within 1 %; every second slot may be `slow` times slower."""
    rng = np.random.default_rng(7)
    session = Coding.of(parse(scheme), 30, seed=7).begin()
    round_ = Round(session.decoder)
    means = np.where(np.arange(30) % 2, slow, 1.0)
    alphas = []
    for number in range(6_100):
        round_.play(session.stop, rng.exponential(means))
        if number >= 100:
            alphas.append(session.decoder.finish().task_weights)
    alpha = np.array(alphas)
    # What was learnt ties neighbouring rounds together; a hundred rounds later it is forgotten.
    batches = alpha.reshape(60, 100, 30).mean(axis=1)
    spread = batches.std(axis=0, ddof=1) / np.sqrt(len(batches))
    assert (np.abs(alpha.mean(axis=0) - 1.0) <= 5 * spread + 1e-12).all()
    assert alpha.mean() == pytest.approx(1.0, abs=0.01)


def test_what_was_learnt_of_groups_is_kept_unless_they_are_others() -> None:
    text = "frc:c=2,groups=balanced / first-copy:scale=group / fraction:r=3"
    coding = Coding.of(parse(text), 6)
    session, resumed = coding.begin(), coding.begin()
    slots = np.flatnonzero(groups_of(coding.code).of_symbol != 2).tolist()
    for _ in range(300):
        session.stop.observe([(slot, 0.1) for slot in slots], 1.0)
    resumed.stop.load_state(session.stop.state())
    for decoder in (session.decoder, resumed.decoder):
        decoder.begin()
        weights = [decoder.arrive(slot) for slot in range(6)]
        assert max(w for w in weights if w) == 20.0
    # The late two part: neither of the groups that they join is expected to be erased often.
    regrouped = coding.placed_by(session.learnt.slots.probabilities)
    anew = go_on(session, coding, regrouped).decoder
    anew.begin()
    assert max(w for slot in range(6) if (w := anew.arrive(slot))) < 1.2


def test_snapshot_rounds_ignore_the_rule() -> None:
    round_ = make_round("uncoded", 4)
    rule = SnapshotStop(STOPS.build("deadline:after_s=1.5", round_.decoder.code), 2)
    times = np.array([1.0, 2.0, 3.0, 4.0])
    assert rule.deadline_s() is None
    assert round_.play(rule, times) == ("snapshot: 4 of 4 arrived", 4.0)
    assert rule.deadline_s() == 1.5
    assert round_.play(rule, times) == ("deadline of 1.5 s", 1.5)
    other = SnapshotStop(STOPS.build("exact", round_.decoder.code), 2)
    other.load_state(rule.state())
    assert round_.play(other, times)[0].startswith("snapshot")


def test_snapshot_rounds_teach_nothing_of_who_straggles_in_the_others() -> None:
    """Slot 3 is late whenever the rule judges, and is waited for in every second round."""
    round_ = make_round("uncoded", 4)
    estimate = StragglerEstimate(4)
    judged = LearningStop(STOPS.build("fraction:r=3", round_.decoder.code), estimate)
    rule = SnapshotStop(judged, 2)
    for _ in range(400):
        round_.play(rule, np.array([1.0, 2.0, 3.0, 4.0]))
    assert estimate.probabilities[3] > 0.95
    assert (estimate.probabilities[:3] < 0.05).all()


def test_adaptive_looks_at_rounds_of_its_own_before_it_chooses() -> None:
    """The first round is a snapshot, which it does not judge, and so is every fourth."""
    round_ = make_round("uncoded", 6)
    adaptive = STOPS.build("adaptive:warmup=1,explore=20", round_.decoder.code)
    rule = SnapshotStop(adaptive, 4)
    times = np.array([1.0, 1.1, 1.2, 1.3, 1.4, 100.0])
    reasons = [round_.play(rule, times)[0] for _ in range(200)]
    assert reasons[0].startswith("snapshot")
    assert reasons[1].startswith("warm-up 1 of 1")
    assert any("looked further" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("residual:epsilon=1", "epsilon=1"),
        ("residual:epsilon=-0.1", "epsilon=-0.1"),
        ("adaptive:warmup=0", "warmup=0"),
        ("adaptive:explore=1", "explore=1"),
        ("adaptive:noise=-1", "noise=-1"),
        ("adaptive:most_error=0", "most_error=0"),
        ("adaptive:progress=1", "progress=1"),
        ("adaptive:by=guess", "by=guess"),
    ],
)
def test_bad_rules_are_one_sentence(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        STOPS.build(spec, make_round().decoder.code)
