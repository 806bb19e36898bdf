"""Delay models: distributions by large samples; only (seed, round, slot) count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from erasurehead.errors import DataError, UsageError
from erasurehead.straggling import DELAYS
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.unequal_exponential import UnequalExponentialDelay

Vector = npt.NDArray[np.float64]

SPECS = [
    "none",
    "exponential:mean_s=0.5",
    "shifted-exponential:shift_s=1,mean_s=2",
    "unequal-exponential:low=0.5,high=2",
    "pareto:shape=1.5,scale_s=0.1",
    "pareto:shape=1.5,scale_s=0.1,by_load=true",
    "persistent:fraction=0.2,slow_s=2,jitter_s=0.1",
    "persistent:count=3,slow_s=2",
    "bimodal:base_s=1,eps=0.3",
    "gilbert-elliott:p_gb=0.05,p_bg=0.4,slow_s=1,fast_s=0.1",
]


def sample(spec: str, workers: int = 200, rounds: int = 100, load_share: float = 1.0) -> Vector:
    """Return delays of shape (rounds, workers)."""
    model = DELAYS.build(spec, workers, 7)
    return np.array([model.delays_s(t, load_share) for t in range(1, rounds + 1)])


@pytest.mark.parametrize("spec", SPECS)
def test_delays_are_a_function_of_seed_round_and_slot(spec: str) -> None:
    """Asked in any order, for all slots or one, twice, or by another process: the same."""
    model, other = DELAYS.build(spec, 12, 5), DELAYS.build(spec, 12, 5)
    forward = {t: model.delays_s(t, 0.1) for t in range(1, 10)}
    for t in (7, 2, 9, 2, 1):
        np.testing.assert_array_equal(other.delays_s(t, 0.1), forward[t])
        assert forward[t].shape == (12,)
        assert (forward[t] >= 0).all()
        assert [model.delay_s(t, i, 0.1) for i in range(12)] == forward[t].tolist()


@pytest.mark.filterwarnings("error")
def test_no_tail_is_so_heavy_that_a_delay_is_no_number_of_seconds() -> None:
    """The virtual clock of a simulation never came to the end of an infinite one."""
    delays = sample("pareto:shape=1e-5,scale_s=1", 20, 20)
    assert delays.max() == 1e9


@pytest.mark.parametrize("spec", SPECS)
def test_the_load_scales_delays_and_changes_no_draw(spec: str) -> None:
    """Two schemes of different load meet the same delays, but for the factor."""
    scales = spec.startswith(("shifted", "bimodal")) or "by_load" in spec
    model = DELAYS.build(spec, 12, 5)
    one, two = model.delays_s(4, 0.1), model.delays_s(4, 0.3)
    np.testing.assert_allclose(two, one * (3 if scales else 1))
    shares = np.linspace(0.1, 1, 12)
    expected = one * shares / 0.1 if scales else one
    np.testing.assert_allclose(model.delays_s(4, shares), expected)


@pytest.mark.parametrize("spec", [s for s in SPECS if s != "none"])
def test_another_seed_gives_other_delays(spec: str) -> None:
    a, b = (DELAYS.build(spec, 50, seed).delays_s(1, 1.0) for seed in (0, 1))
    assert not np.array_equal(a, b)


@pytest.mark.parametrize("spec", SPECS)
def test_a_caller_may_change_what_it_was_given(spec: str) -> None:
    model = DELAYS.build(spec, 12, 5)
    first = model.delays_s(3, 1.0)
    before = first.copy()
    if first.flags.writeable:
        first += 1
    np.testing.assert_array_equal(model.delays_s(3, 1.0), before)


@pytest.mark.parametrize(
    ("spec", "distribution"),
    [
        ("exponential:mean_s=0.5", stats.expon(scale=0.5)),
        ("exponential:rate=0.5", stats.expon(scale=2)),
        ("shifted-exponential:shift_s=1,mean_s=2", stats.expon(loc=1, scale=2)),
        ("pareto:shape=1.5,scale_s=0.1", stats.pareto(1.5, scale=0.1)),
        ("persistent:count=0,slow_s=1,jitter_s=0.3", stats.expon(scale=0.3)),
        ("bimodal:base_s=3,eps=0,jitter=0.1", stats.expon(loc=3, scale=0.3)),
        ("bimodal:base_s=3,eps=1,factor=4,jitter=0.1", stats.expon(loc=12, scale=1.2)),
    ],
)
def test_distribution(spec: str, distribution: Any) -> None:
    drawn = sample(spec)
    assert stats.kstest(drawn.ravel(), distribution.cdf).pvalue > 0.01
    # Slots and rounds are independent: their means scatter as means of as many draws do.
    u = distribution.cdf(drawn)
    for axis in (0, 1):
        spread = np.var(u.mean(axis=axis)) * u.shape[axis] * 12
        assert spread == pytest.approx(1, abs=0.5)


def test_mean_of_the_exponential() -> None:
    """20,000 draws: the standard error is 0.7 %, the bound 3 of them."""
    assert sample("exponential:mean_s=0.5").mean() == pytest.approx(0.5, rel=0.021)


def test_the_minimum_of_copies_of_a_pareto_has_a_light_tail() -> None:
    """The least of l copies is Pareto with index l * shape: why replication helps."""
    least = sample("pareto:shape=1.5,scale_s=0.1").reshape(100, 50, 4).min(axis=2)
    assert stats.kstest(least.ravel(), stats.pareto(6, scale=0.1).cdf).pvalue > 0.01


def test_persistent_slots_are_slow_in_every_round() -> None:
    model = DELAYS.build("persistent:fraction=0.25,slow_s=2", 12, 3)
    slow = np.array([model.delays_s(t, 1.0) for t in range(1, 20)])
    assert (slow == slow[0]).all()
    assert sorted(slow[0]) == [0.0] * 9 + [2.0] * 3
    fewer = DELAYS.build("persistent:count=2,slow_s=2", 12, 3).delays_s(1, 1.0)
    assert ((fewer > 0) <= (slow[0] > 0)).all()


def test_bimodal_slots_are_slow_with_their_probability_and_for_good() -> None:
    drawn = sample("bimodal:base_s=1,eps=0.1,factor=10", workers=5000, rounds=3)
    slow = drawn > 5
    assert (slow == slow[0]).all()
    assert slow[0].mean() == pytest.approx(0.1, abs=0.013)


def test_gilbert_elliott_moments() -> None:
    """Stationary share 1/9, mean burst 2.5 rounds, lag-1 correlation 0.55 (p_gb=.05, p_bg=.4)."""
    bad = sample("gilbert-elliott:p_gb=0.05,p_bg=0.4,slow_s=1", workers=1000, rounds=300) > 0
    assert bad[0].mean() == pytest.approx(1 / 9, abs=0.03)
    assert bad.mean() == pytest.approx(1 / 9, rel=0.03)
    bursts = (bad[1:] & ~bad[:-1]).sum()
    assert bad[1:].sum() / bursts == pytest.approx(2.5, rel=0.03)
    now, then = bad[1:].ravel().astype(float), bad[:-1].ravel().astype(float)
    assert np.corrcoef(now, then)[0, 1] == pytest.approx(0.55, abs=0.02)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 1100), min_size=1, max_size=6))
def test_gilbert_elliott_answers_in_any_order(rounds: list[int]) -> None:
    """Beyond several snapshots, backwards and forwards."""
    model = DELAYS.build("gilbert-elliott:p_gb=0.1,p_bg=0.2,slow_s=1", 9, 2)
    for t in rounds:
        np.testing.assert_array_equal(model.delays_s(t, 1.0), chain()[t])


_chain: dict[int, Vector] = {}


def chain() -> dict[int, Vector]:
    """The same chain asked strictly forwards, once."""
    if not _chain:
        model = DELAYS.build("gilbert-elliott:p_gb=0.1,p_bg=0.2,slow_s=1", 9, 2)
        _chain.update({t: model.delays_s(t, 1.0) for t in range(1, 1101)})
    return _chain


def test_no_delay_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DelayModel, "generator", None)
    model = DELAYS.build("none", 4, 0)
    np.testing.assert_array_equal(model.delays_s(1, 1.0), np.zeros(4))
    assert model.delay_s(1, 2, 1.0) == 0.0


@pytest.fixture
def trace(tmp_path: Path) -> Callable[..., Path]:
    def write(**arrays: Any) -> Path:
        np.savez(tmp_path / "trace.npz", **arrays)
        return tmp_path / "trace.npz"

    return write


def test_a_trace_is_replayed_in_order_and_wraps_around(trace: Callable[..., Path]) -> None:
    recorded = np.arange(6.0).reshape(2, 3)
    model = DELAYS.build(f"trace:file={trace(delays_s=recorded)}", 3, 0)
    for t in (1, 2, 3, 4):
        np.testing.assert_array_equal(model.delays_s(t, 0.1), recorded[(t - 1) % 2])
    model.delays_s(1, 0.1)[:] = 9
    np.testing.assert_array_equal(model.delays_s(1, 0.1), recorded[0])


@pytest.mark.parametrize("share", [0.1, [0.1, 0.2, 0.1]])
def test_a_trace_with_its_load_scales_with_the_load(
    share: float | list[float], trace: Callable[..., Path]
) -> None:
    recorded = np.arange(6.0).reshape(2, 3)
    model = DELAYS.build(f"trace:file={trace(delays_s=recorded, load_share=share)}", 3, 0)
    np.testing.assert_allclose(model.delays_s(2, 0.2), recorded[1] * 0.2 / np.array(share))
    assert model.delay_s(2, 1, 0.2) == pytest.approx(4 * 0.2 / np.broadcast_to(share, 3)[1])


def test_only_a_part_of_a_trace_may_scale_with_the_load(trace: Callable[..., Path]) -> None:
    file = trace(delays_s=np.full((1, 2), 3.0), scaled_s=[[1.0, 2.0]], load_share=[0.1, 0.2])
    model = DELAYS.build(f"trace:file={file}", 2, 0)
    np.testing.assert_allclose(model.delays_s(1, np.array([0.1, 0.2])), [3.0, 3.0])
    np.testing.assert_allclose(model.delays_s(1, 0.4), [2.0 + 4.0, 1.0 + 4.0])


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"delays": np.ones((2, 3))}, "is not a trace"),
        ({"delays_s": np.array(["x"])}, "is not a trace"),
        ({"delays_s": np.array([[None]])}, "is not a trace"),
        ({"delays_s": np.ones((2, 4))}, r"shape \(2, 4\), but the run has 3 workers"),
        ({"delays_s": np.ones(3)}, r"expected \(rounds, 3\)"),
        ({"delays_s": np.ones((0, 3))}, r"expected \(rounds, 3\)"),
        ({"delays_s": -np.ones((2, 3))}, "negative or not finite"),
        ({"delays_s": np.full((2, 3), np.nan)}, "negative or not finite"),
        ({"delays_s": np.ones((2, 3)), "load_share": np.ones(2)}, "load_share"),
        ({"delays_s": np.ones((2, 3)), "load_share": 0.0}, "load_share"),
        ({"delays_s": np.ones((2, 3)), "scaled_s": np.ones((2, 3))}, "scaled_s"),
        ({"delays_s": np.ones((2, 3)), "scaled_s": np.ones(3), "load_share": 0.1}, "scaled_s"),
        (
            {"delays_s": np.ones((2, 3)), "scaled_s": np.full((2, 3), 2.0), "load_share": 0.1},
            "scaled_s",
        ),
    ],
)
def test_a_bad_trace_is_one_sentence(
    arrays: dict[str, Any], sentence: str, trace: Callable[..., Path]
) -> None:
    with pytest.raises(DataError, match=sentence):
        DELAYS.build(f"trace:file={trace(**arrays)}", 3, 0)


def test_a_file_that_is_no_trace_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no trace file"):
        DELAYS.build(f"trace:file={tmp_path / 'none.npz'}", 3, 0)
    wrong = tmp_path / "wrong.npz"
    for content in (b"", b"PK\x03\x04 cut off", b"delays\n"):
        wrong.write_bytes(content)
        with pytest.raises(DataError, match="is not a trace"):
            DELAYS.build(f"trace:file={wrong}", 3, 0)
    with wrong.open("wb") as file:
        np.save(file, np.ones((2, 3)))
    with pytest.raises(DataError, match="is not a trace"):
        DELAYS.build(f"trace:file={wrong}", 3, 0)
    with pytest.raises(DataError, match="is not a trace"):
        DELAYS.build(f"trace:file={tmp_path}", 3, 0)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("exponential", "needs one of mean_s and rate, but neither was given"),
        ("exponential:mean_s=1,rate=1", "but both were given"),
        ("exponential:mean_s=0", "mean_s=0 of delay model 'exponential' must be above 0"),
        ("exponential:rate=-1", "rate=-1"),
        ("exponential:mean_s=inf", r"at most 1e\+09"),
        ("exponential:mean=1", "did you mean 'mean_s'"),
        ("exponentail:mean_s=1", "did you mean 'exponential'"),
        ("shifted-exponential:shift_s=-1,mean_s=1", "shift_s=-1"),
        ("shifted-exponential:shift_s=1", "needs mean_s"),
        ("unequal-exponential:low=2,high=1", "low=2 and high=1"),
        ("unequal-exponential:low=0", "low=0"),
        ("pareto:shape=0,scale_s=1", "shape=0"),
        ("pareto:shape=1,scale_s=nan", "scale_s=nan"),
        ("persistent:slow_s=1", "needs one of fraction and count"),
        ("persistent:slow_s=1,count=1,fraction=0.1", "needs one of fraction and count"),
        ("persistent:slow_s=1,count=13", "must be from 0 to 12, the number of workers"),
        ("persistent:slow_s=1,count=-1", "must be from 0 to 12"),
        ("persistent:slow_s=1,fraction=1.1", "fraction=1.1"),
        ("persistent:slow_s=0,count=1", "slow_s=0"),
        ("persistent:slow_s=1,count=1,jitter_s=-1", "jitter_s=-1"),
        ("bimodal:base_s=1,eps=2", "eps=2"),
        ("bimodal:base_s=1,factor=0.5", "factor=0.5"),
        ("bimodal:base_s=0", "base_s=0"),
        ("gilbert-elliott:p_gb=0,p_bg=0,slow_s=1", "no way to choose the first state"),
        ("gilbert-elliott:p_gb=1.5,p_bg=0,slow_s=1", "p_gb=1.5"),
        ("gilbert-elliott:p_gb=0.5,p_bg=nan,slow_s=1", "p_bg=nan"),
        ("gilbert-elliott:p_gb=0.1,p_bg=0.1,slow_s=1,fast_s=-1", "fast_s=-1"),
        ("trace", "needs file"),
    ],
)
def test_bad_options_are_one_sentence(spec: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as caught:
        DELAYS.build(spec, 12, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "spec",
    [
        "exponential:mean_s=0.5",
        "shifted-exponential:shift_s=0.4,mean_s=1.5",
        "pareto:shape=1.6,scale_s=0.3",
        "pareto:shape=1.6,scale_s=0.9,by_load=yes",
        "unequal-exponential",
    ],
)
def test_late_probabilities_by_counting(spec: str) -> None:
    """Deadlines and loads of its own for each slot, in 4,000 rounds, to 5 sigma."""
    model = DELAYS.build(spec, 10, 3)
    shares, deadlines_s = np.linspace(0.1, 1.0, 10), np.linspace(-0.2, 3.0, 10)
    p = model.late_probabilities(deadlines_s, shares)
    assert p is not None
    late = np.mean([model.delays_s(t, shares) > deadlines_s for t in range(1, 4001)], axis=0)
    assert np.all(np.abs(late - p) <= 5 * np.sqrt(p * (1 - p) / 4000))
    assert p[0] == 1.0
    assert model.late_probabilities(1e9, 0.5) == pytest.approx(np.zeros(10), abs=1e-9)


def test_delays_that_depend_on_each_other_have_no_late_probabilities() -> None:
    model = DELAYS.build("gilbert-elliott:p_gb=0.1,p_bg=0.5,slow_s=1", 4, 0)
    assert model.late_probabilities(0.5, 0.25) is None


def test_unequal_slots_miss_a_deadline_as_often_as_their_rates_say() -> None:
    """Of 4,000 rounds each slot misses tau = 1.5 in a share exp(-rate (tau - 1)), to 5 sigma."""
    model = UnequalExponentialDelay(10, 3)
    assert model.rates.min() > 0.1
    assert model.rates.max() < 2.0
    late = np.mean([model.delays_s(t, 0.1) > 1.5 for t in range(1, 4001)], axis=0)
    expected = np.exp(-model.rates * 0.5)
    np.testing.assert_allclose(model.late_probabilities(1.5), expected)
    assert np.all(np.abs(late - expected) < 5 * np.sqrt(expected * (1 - expected) / 4000))
    assert np.all(model.late_probabilities(0.5) == 1.0)
