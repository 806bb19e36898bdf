"""Whole runs with a cache: the noise floor goes, and codes matter where workers stay away."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.arrays import FloatArray
from erasurehead.schemes.coding import Coding
from erasurehead.schemes.text import parse
from tests.support.estimate_rounds import COLUMNS, N_TASKS, LeastSquares, play_round


def train(
    scheme: str,
    rounds: int,
    step: float = 1.0,
    seed: int = 0,
    dead: tuple[int, ...] = (),
    weights: FloatArray | None = None,
) -> list[float]:
    """Gap after each round of gradient descent with step `step`/beta.

    Slots in `dead` never answer, slot i does with probability weights[i]."""
    problem, rng = LeastSquares(), np.random.default_rng(seed)
    coding = Coding.of(parse(scheme), N_TASKS, seed=seed)
    session, estimate = coding.begin(), coding.estimate(COLUMNS)
    x, gaps = np.zeros(COLUMNS), []
    for _ in range(rounds):
        order = [s for s in rng.permutation(N_TASKS).tolist() if s not in dead]
        if weights is not None:
            order = [s for s in order if rng.random() < weights[s]]
        gradient, _, _ = play_round(
            session, estimate, order, problem.gradients(x), problem.losses(x)
        )
        x = x - step / problem.beta * gradient
        gaps.append(problem.gap(x))
    return gaps


def test_the_floor_of_approximate_decoding_disappears() -> None:
    """c = 3, r = 11, step 1/beta: plain decoding stalls, cached decoding goes on like exact GD."""
    exact = train("egc:c=3", 200)
    plain = train("agc:c=3,r=11,scale=unbiased", 300)
    assert min(plain[200:]) > 1e-4
    for cache, early in (("saga", 1e-3), ("sag", 1e-3), ("svrg:every=20", 1e-1)):
        cached = train(f"agc:c=3,r=11,scale=unbiased,cache={cache}", 300)
        assert cached[49] < early
        assert cached[-1] < 1e-16
    assert exact[-1] < 1e-14


@pytest.mark.parametrize(
    "scheme",
    [
        "agc:c=3,r=11,cache=saga",
        "agc:c=3,r=11,scale=none,cache=saga",
        "uncoded:r=20,cache=saga",
        "pairwise-balanced:d=3 / fixed:p=0.5 / fraction:r=15 / saga",
        "frc:c=3 / fixed / fraction:r=15 / saga",
        "frc:c=3 / least-squares / fraction:r=11 / saga",
        "regular:c=3 / least-squares / fraction:r=15 / sag",
        "cyclic-sums:c=3 / circular / fraction:r=11 / saga",
        "coupon:c=2 / first-copy / fraction:r=15 / sag",
        # Codes whose symbols add up to the full gradient with weights of their own.
        "bernoulli:c=6 / one-step:scale=mean / fraction:r=20 / saga",
        "bernoulli:c=6 / one-step:scale=optimal / fraction:r=20 / sag",
        "bernoulli:c=6 / least-squares / fraction:r=20 / svrg:every=20",
        "cyclic-mds:s=5 / least-squares / fraction:r=20 / saga",
        "cyclic-repetition:s=2 / least-squares / fraction:r=24 / sag",
        "heterogeneous:s=2 / least-squares / fraction:r=24 / sag",
    ],
)
def test_every_code_that_holds_the_gradient_can_be_cached(scheme: str) -> None:
    """Streaming, de-duplicating and holding decoders reach the optimum with a moderate step.

    Of ten draws of cyclic-repetition two, of seeds 0 and 1, have decode weights so large that a
    cache diverges."""
    gaps = train(scheme, 400, step=0.3, seed=2)
    problem = LeastSquares()
    if scheme.startswith("coupon"):
        # A batch nobody picked is missing for good; the rest is still optimised.
        assert gaps[-1] == pytest.approx(gaps[-50], rel=1e-3)
    else:
        assert gaps[-1] < 1e-9 * problem.gap(np.zeros(COLUMNS))


@pytest.mark.parametrize("cache", ["saga", "sag", "svrg:every=7"])
@pytest.mark.parametrize(
    "scheme",
    [
        "frc:c=3 / first-copy:scale=coverage / exact",
        "graph:d=3 / component / exact",
        "cyclic-sums:c=3 / circular / exact",
        "cyclic-sums:c=3 / least-squares / exact",
    ],
)
def test_rounds_that_decode_exactly_are_exact(scheme: str, cache: str) -> None:
    """Whatever is remembered, and although some slots have not been heard for many rounds."""
    rng = np.random.default_rng(2)
    coding = Coding.of(parse(f"{scheme} / {cache}"), N_TASKS, seed=2)
    session, estimate = coding.begin(), coding.estimate(COLUMNS)
    problem, x = LeastSquares(), np.zeros(COLUMNS)
    n_partial = 0
    for _ in range(30):
        # A graph's edges are fewer than its corners.
        g = problem.gradients(x)[: coding.code.n_tasks]
        f = problem.losses(x)[: coding.code.n_tasks]
        order = rng.permutation(N_TASKS).tolist()
        gradient, loss, arrived = play_round(session, estimate, order, g, f)
        n_partial += len(arrived) < N_TASKS
        np.testing.assert_allclose(gradient, g.sum(axis=0), atol=1e-10)
        assert loss == pytest.approx(f.sum(), rel=1e-12)
        x = x - rng.uniform(0.5, 1.0) / problem.beta * gradient
    assert n_partial > 10


def test_a_dead_worker_is_survived_by_coding_only() -> None:
    """Worker 7 never answers: uncoded stalls, cached or not; coded and cached does not."""
    for scheme in ("uncoded:r=20", "uncoded:r=20,cache=saga", "uncoded:r=20,cache=sag"):
        assert train(scheme, 300, step=0.3, dead=(7,))[-1] > 1e-4
    assert train("agc:c=3,r=11,cache=saga", 400, step=0.3, dead=(7,))[-1] < 1e-9


def test_heavy_straggling_needs_coding_even_with_a_cache() -> None:
    """p = exp(-psi/10), psi ~ U(.1, 2), mean p = .91: after 300 rounds uncoded + SAG is far behind
    repetition of 2 + SAG."""
    answering = 1 - np.exp(-np.random.default_rng(1).uniform(0.1, 2.0, N_TASKS) / 10)
    uncoded = train("uncoded / first-copy / exact / sag", 300, weights=answering)
    coded = train("frc:c=2 / first-copy / exact / sag", 300, weights=answering)
    assert coded[-1] < 1e-5 * uncoded[-1]
