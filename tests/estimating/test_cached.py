"""Cached decoding: the noise floor goes, stale results help, checkpoints continue."""

from __future__ import annotations

import numpy as np
import pytest
from grouped import groups_of
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import DecoderContext, Decoding
from erasurehead.errors import DataError, UsageError
from erasurehead.estimating import ESTIMATES
from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.coded_vector import CodedVector
from erasurehead.schemes.scheme import BuiltScheme, Scheme

N_TASKS, ROWS, COLUMNS = 30, 10, 20


class LeastSquares:
    """sum_j ||X_j x - y_j||^2 / 2 over 30 tasks with a Hessian of condition number 10."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        U, _, Vt = np.linalg.svd(rng.normal(size=(N_TASKS * ROWS, COLUMNS)), full_matrices=False)
        spectrum = np.sqrt(np.linspace(1.0, 10.0, COLUMNS))
        self.X = ((U * spectrum) @ Vt).reshape(N_TASKS, ROWS, COLUMNS)
        self.y = self.X @ rng.normal(size=COLUMNS) + 0.3 * rng.normal(size=(N_TASKS, ROWS))
        flat_X, flat_y = self.X.reshape(-1, COLUMNS), self.y.ravel()
        self.best = np.linalg.lstsq(flat_X, flat_y, rcond=None)[0]
        self.beta = 10.0

    def gradients(self, x: FloatArray) -> FloatArray:
        """The gradient of each task, shape (n, columns)."""
        residual = self.X @ x - self.y
        return np.asarray(np.einsum("jrc,jr->jc", self.X, residual))

    def losses(self, x: FloatArray) -> FloatArray:
        """The loss of each task, shape (n,)."""
        return np.asarray(0.5 * np.sum((self.X @ x - self.y) ** 2, axis=1))

    def gap(self, x: FloatArray) -> float:
        """f(x) - f*, without cancellation."""
        return float(0.5 * np.sum((self.X.reshape(-1, COLUMNS) @ (x - self.best)) ** 2))


def play_round(
    built: BuiltScheme, estimate: GradientEstimate, order: list[int], g: FloatArray, f: FloatArray
) -> tuple[FloatArray, float, list[int]]:
    """One round in which slots answer in `order` until the stop rule is content."""
    A = built.code.matrix.toarray()
    built.decoder.begin()
    estimate.begin()
    arrived: list[int] = []

    class View:
        decoder = built.decoder
        n_workers = built.code.n_workers
        elapsed_s = 0.0
        n_arrived = 0

    view = View()
    for slot in order:
        weight = built.decoder.arrive(slot)
        estimate.take(CodedVector(slot, None, A[slot] @ g, float(A[slot] @ f)), weight)
        arrived.append(slot)
        view.n_arrived = len(arrived)
        if built.stop.judge(view):
            break
    built.stop.observe([(slot, 0.0) for slot in arrived], 0.0)
    gradient, loss = estimate.finish(built.decoder.finish())
    return gradient, loss, arrived


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
    built = Scheme.parse(scheme).build(N_TASKS, None, rng)
    estimate = ESTIMATES.build(built.estimate, built.code, COLUMNS, False)
    x, gaps = np.zeros(COLUMNS), []
    for _ in range(rounds):
        order = [s for s in rng.permutation(N_TASKS).tolist() if s not in dead]
        if weights is not None:
            order = [s for s in order if rng.random() < weights[s]]
        gradient, _, _ = play_round(built, estimate, order, problem.gradients(x), problem.losses(x))
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
    """Streaming, de-duplicating and holding decoders reach the optimum with a moderate step."""
    gaps = train(scheme, 400, step=0.3)
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
    built = Scheme.parse(f"{scheme} / {cache}").build(N_TASKS, None, rng)
    estimate = ESTIMATES.build(built.estimate, built.code, COLUMNS, False)
    problem, x = LeastSquares(), np.zeros(COLUMNS)
    n_partial = 0
    for _ in range(30):
        # A graph's edges are fewer than its corners.
        g = problem.gradients(x)[: built.code.n_tasks]
        f = problem.losses(x)[: built.code.n_tasks]
        order = rng.permutation(N_TASKS).tolist()
        gradient, loss, arrived = play_round(built, estimate, order, g, f)
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


def test_saga_is_unbiased_whatever_is_remembered() -> None:
    """Mean of g_hat over all arrival sets of a round is the gradient, for stale caches too."""
    import itertools

    rng = np.random.default_rng(0)
    code = CODES.build("frc:c=2", 6, None, rng)
    decoder = DECODERS.build("first-copy:scale=unbiased", code, DecoderContext(3))
    A = code.matrix.toarray()
    old, new = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    estimates = []
    for arrived in itertools.combinations(range(6), 3):
        estimate = ESTIMATES.build("saga", code, 4, False)
        for gradients, slots in ((old, (0, 1, 2, 3)), (new, arrived)):
            decoder.begin()
            estimate.begin()
            for slot in slots:
                sent = CodedVector(slot, None, A[slot] @ gradients, float(gradients[0, 0]))
                estimate.take(sent, decoder.arrive(slot))
            gradient, _ = estimate.finish(decoder.finish())
        estimates.append(gradient.copy())
    np.testing.assert_allclose(np.mean(estimates, axis=0), new.sum(axis=0), atol=1e-12)


def decoding(scale: float = 1.0, held: dict[int, float] | None = None) -> Decoding:
    return Decoding(scale, np.ones(1), 0.0, 1.0, 0, held or {})


def uncoded_estimate(name: str, k: int = 3) -> GradientEstimate:
    code = CODES.build("uncoded", k, None, np.random.default_rng(0))
    return ESTIMATES.build(name, code, 4, False)


def test_late_results_count_only_if_newer() -> None:
    """SAG on three slots: a stale result fills a gap, an older one never overwrites a newer."""
    estimate = uncoded_estimate("sag")
    ones = np.ones(4)
    for _ in range(5):
        estimate.begin()
        estimate.fold(CodedVector(0, None, ones), 1.0)
        estimate.finish(decoding())
    estimate.begin()
    estimate.late(CodedVector(1, None, 10 * ones), age=2)  # of round 4, never seen before: taken
    estimate.late(CodedVector(1, None, 99 * ones), age=3)  # older than that: ignored
    estimate.late(CodedVector(0, None, 99 * ones), age=1)  # round 5 is known already: ignored
    estimate.fold(CodedVector(2, None, 100 * ones), 1.0)
    estimate.late(CodedVector(2, None, 99 * ones), age=1)  # slot 2 has answered this round: ignored
    gradient, _ = estimate.finish(decoding())
    np.testing.assert_allclose(gradient, 111.0)
    estimate.begin()
    estimate.late(
        CodedVector(0, None, 5 * ones), age=1
    )  # of round 6, in which slot 0 was late: taken
    np.testing.assert_allclose(estimate.finish(decoding())[0], 115.0)


def test_supports_are_kept_and_may_change() -> None:
    """Values live on their support; a unit whose support changes is replaced as a whole."""
    estimate = uncoded_estimate("saga", k=2)
    estimate.begin()
    estimate.fold(CodedVector(0, np.array([1, 3]), np.array([1.0, 2.0]), 0.5), 1.0)
    estimate.fold(CodedVector(1, None, np.array([1.0, 1, 1, 1]), 0.25), 1.0)
    gradient, loss = estimate.finish(decoding())
    assert gradient.tolist() == [1, 2, 1, 3]
    assert loss == 0.75
    estimate.begin()
    estimate.fold(CodedVector(0, np.array([0]), np.array([5.0]), 1.5), 2.0)
    gradient, loss = estimate.finish(decoding())
    # total + 2 (new - old): old was (0, 1, 0, 2), new is (5, 0, 0, 0).
    assert gradient.tolist() == [1 + 10, 2 - 2, 1, 3 - 4]
    assert loss == 0.75 + 2.0
    estimate.begin()
    assert estimate.finish(decoding())[0].tolist() == [6, 1, 1, 1]


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_any_weights_on_any_supports_give_the_formula(seed: int) -> None:
    """Random rounds of two copies a block: folded or held, weighted alike or not, dense or sparse,
    second copies counted, too. g_hat = sum_b h_b + sum_i w_i (y_i - h_b(i)) in dense arithmetic."""
    rng = np.random.default_rng(seed)
    k, columns = 6, 7
    code = CODES.build("frc:c=2,groups=consecutive", k, None, rng)
    estimate = ESTIMATES.build("saga", code, columns, False)
    remembered = np.zeros((groups_of(code).count, columns))
    losses = np.zeros(groups_of(code).count)
    supports = [np.sort(rng.permutation(columns)[:4]) for _ in range(groups_of(code).count)]
    for _ in range(5):
        estimate.begin()
        folds, scale = rng.random() < 0.5, float(rng.choice([1.0, 1.5]))
        alike = float(rng.normal()) if rng.random() < 0.5 else None
        change, loss_change = np.zeros(columns), 0.0
        fresh: dict[int, tuple[FloatArray, float]] = {}
        held: dict[int, float] = {}
        news = rng.normal(size=(groups_of(code).count, columns))
        for slot in sorted(rng.permutation(k)[: rng.integers(0, k + 1)].tolist()):
            block = int(groups_of(code).of_slot[slot])
            support = None if rng.random() < 0.3 else supports[block]
            vector = news[block].copy() if support is None else np.zeros(columns)
            if support is not None:
                vector[support] = news[block][support]
            values = vector if support is None else vector[support]
            weight = alike or float(rng.choice([0.5, 1.0, 2.0]))
            loss = float(rng.normal())
            sent = CodedVector(slot, support, values, loss)
            if folds:
                estimate.fold(sent, weight)
                weight *= scale
            else:
                estimate.hold(sent)
                held[slot] = weight
            change += weight * (vector - remembered[block])
            loss_change += weight * (loss - losses[block])
            fresh.setdefault(block, (vector, loss))
        gradient, loss_sum = estimate.finish(decoding(scale if folds else 1.0, held))
        np.testing.assert_allclose(gradient, remembered.sum(axis=0) + change, atol=1e-12)
        assert loss_sum == pytest.approx(losses.sum() + loss_change, abs=1e-12)
        for block, (vector, loss) in fresh.items():
            remembered[block], losses[block] = vector, loss


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(
        ["cyclic-mds:s=2", "cyclic-mds:s=2,field=complex", "bernoulli:c=5", "pairwise-balanced:d=2"]
    ),
)
def test_units_may_have_weights_of_their_own(seed: int, spec: str) -> None:
    """g_hat = sum_u c_u h_u + sum_i w_i (y_i - h_i), c of least norm with A^T c = 1, whatever the
    decoder's weights, folded and held; late results in between. In dense arithmetic."""
    rng = np.random.default_rng(seed)
    columns = 4
    code = CODES.build(spec, 7, None, np.random.default_rng(7))
    estimate = ESTIMATES.build("saga", code, columns, False)
    A = code.matrix.toarray()
    c = np.linalg.lstsq(A.T, np.ones(code.n_tasks), rcond=None)[0]
    np.testing.assert_allclose(c @ A, 1.0)
    known, seen = np.zeros((code.n_symbols, columns)), np.zeros(code.n_symbols, dtype=int)
    for number in range(1, 6):
        estimate.begin()
        news = rng.normal(size=known.shape)
        change = np.zeros(columns)
        stale = int(rng.integers(code.n_symbols))
        if seen[stale] < number - 1:
            values = rng.normal(size=columns)
            estimate.late(CodedVector(stale, None, values), age=1)
            known[stale], seen[stale] = values, number - 1
        arrived = rng.permutation(code.n_symbols)[: rng.integers(1, code.n_symbols + 1)].tolist()
        folds, alike = rng.random() < 0.5, rng.random() < 0.5
        held: dict[int, float] = {}
        for symbol in arrived:
            weight = float(1.5 * c[symbol] if alike else rng.normal())
            if folds:
                estimate.fold(CodedVector(symbol, None, news[symbol]), weight)
            else:
                estimate.hold(CodedVector(symbol, None, news[symbol]))
                held[symbol] = weight
            change += weight * (news[symbol] - known[symbol])
        gradient, _ = estimate.finish(Decoding(1.0, np.ones(1), 1.0, 1.0, 0, held))
        np.testing.assert_allclose(gradient, c @ known + change, atol=1e-11)
        known[arrived], seen[arrived] = news[arrived], number


@pytest.mark.parametrize("name", ["saga", "svrg:every=3"])
def test_constant_weights_that_differ_are_weighed_from_memory(name: str) -> None:
    """Weights 1, 2, ..., some slots missing, stale results in between: the formula in every round,
    and with everybody there no old vector is read."""
    k, columns = 6, 5
    code = CODES.build("uncoded", k, None, np.random.default_rng(0))
    estimate = ESTIMATES.build(name, code, columns, False)
    rng = np.random.default_rng(3)
    weights = np.arange(1.0, k + 1)
    known, fresh_round = np.zeros((k, columns)), np.zeros(k, dtype=int)
    for number in range(1, 16):
        everybody = number in (1, 4, 7, 8, 9, 10, 13)
        slots = rng.permutation(k)[: k if everybody else rng.integers(0, k + 1)].tolist()
        if name == "saga" and number % 3 == 0:
            stale = int(np.argmin(fresh_round))
            late = rng.normal(size=columns)
            estimate.begin()
            estimate.late(CodedVector(stale, None, late), age=1)
            if number - 1 > fresh_round[stale]:
                known[stale], fresh_round[stale] = late, number - 1
        else:
            estimate.begin()
        news = rng.normal(size=(k, columns))
        if number in (9, 10):  # nobody is missing, nobody was: old vectors may be anything
            for unit in vars(estimate)["_units"]:
                unit.values = np.full(columns, np.nan)
        for slot in slots:
            estimate.fold(CodedVector(slot, None, news[slot]), float(weights[slot]))
        gradient, _ = estimate.finish(decoding(0.5))
        expected = known.sum(axis=0) + 0.5 * weights[slots] @ (news[slots] - known[slots])
        snapshot = (number - 1) % 3 == 0
        if name == "saga" or (snapshot and len(slots) == k):
            if name != "saga":
                expected = news.sum(axis=0)
            known[slots], fresh_round[slots] = news[slots], number
        np.testing.assert_allclose(gradient, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["saga", "svrg:every=4"])
def test_an_open_round_is_no_part_of_the_state(name: str) -> None:
    """A run that is interrupted in the middle of a round goes on with that round."""
    code = CODES.build("uncoded", 4, None, np.random.default_rng(0))
    rng = np.random.default_rng(3)
    news = rng.normal(size=(20, 4, 5))

    def play(estimate: GradientEstimate, rounds: range) -> list[bytes]:
        gradients = []
        for number in rounds:
            estimate.begin()
            for slot in range(4 if number % 4 == 0 else 2):
                estimate.fold(CodedVector(slot, None, news[number, slot]), 1.0)
            gradients.append(estimate.finish(decoding(1.0))[0].tobytes())
        return gradients

    calm, first, second = (ESTIMATES.build(name, code, 5, False) for _ in range(3))
    wanted = play(calm, range(20))
    assert play(first, range(7)) == wanted[:7]
    first.begin()
    first.fold(CodedVector(3, None, np.full(5, 1e6)), 1.0)
    second.load_state({key: np.array(value) for key, value in first.state().items()})
    assert play(second, range(7, 20)) == wanted[7:]


def test_float32_values_are_kept_as_they_came() -> None:
    estimate = uncoded_estimate("saga", k=1)
    values = np.array([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
    for _ in range(2):
        estimate.begin()
        estimate.fold(CodedVector(0, None, values), 1.0)
        gradient, _ = estimate.finish(decoding())
        np.testing.assert_allclose(gradient, values.astype(np.float64), atol=1e-16)
    assert estimate.state()["values_0"].dtype == np.float32


UNEQUAL = "/".join(f"{0.1 + 0.05 * i:.2f}" for i in range(12))


@pytest.mark.parametrize("cache", ["saga", "sag", "svrg:every=3"])
@pytest.mark.parametrize(
    "scheme", ["frc:c=3 / first-copy / fraction:r=5", f"uncoded / fixed:p={UNEQUAL} / fraction:r=9"]
)
def test_a_checkpoint_continues_bit_for_bit(scheme: str, cache: str) -> None:
    """Interrupted after 7 rounds and resumed from state(): the same gradients from then on."""
    parsed = Scheme.parse(f"{scheme} / {cache}")
    rng = np.random.default_rng(1)
    rounds = [(rng.permutation(12).tolist(), rng.normal(size=(12, 5))) for _ in range(14)]

    def run(
        first: int, state: dict[str, FloatArray] | None
    ) -> tuple[list[bytes], dict[str, FloatArray]]:
        built = parsed.build(12, None, np.random.default_rng(0))
        estimate = ESTIMATES.build(built.estimate, built.code, 5, False)
        if state is not None:
            estimate.load_state({k: v for k, v in state.items() if not k.startswith("stop_")})
            built.stop.load_state({k[5:]: v for k, v in state.items() if k.startswith("stop_")})
        found = []
        saved: dict[str, FloatArray] = {}
        for number, (order, g) in enumerate(rounds[first:], start=first + 1):
            gradient, loss, _ = play_round(built, estimate, order, g, g[:, 0])
            found.append(gradient.tobytes() + np.float64(loss).tobytes())
            if number == 7:
                saved = {k: v.copy() for k, v in estimate.state().items()}
                saved |= {f"stop_{k}": v for k, v in built.stop.state().items()}
        return found, saved

    whole, saved = run(0, None)
    resumed, _ = run(7, saved)
    assert whole[7:] == resumed


def test_a_checkpoint_of_another_scheme_is_refused() -> None:
    estimate = uncoded_estimate("saga")
    with pytest.raises(DataError, match="5 units of"):
        estimate.load_state(uncoded_estimate("saga", k=5).state())
    with pytest.raises(DataError, match="0 units of"):
        estimate.load_state({})


def test_svrg_waits_for_everybody_in_a_snapshot_round() -> None:
    """every = 3: rounds 1, 4, 7 take all 6 slots' groups and give the exact gradient."""
    built = Scheme.parse("agc:c=2,r=2,cache=svrg:every=3").build(6, None, np.random.default_rng(0))
    estimate = ESTIMATES.build(built.estimate, built.code, 4, False)
    rng = np.random.default_rng(1)
    for number in range(1, 8):
        g = rng.normal(size=(6, 4))
        gradient, _, arrived = play_round(built, estimate, list(range(6)), g, g[:, 0])
        exact = np.allclose(gradient, g.sum(axis=0), atol=1e-12)
        assert exact == (number % 3 == 1)
        assert (len(arrived) > 2) == (number % 3 == 1)


@pytest.mark.parametrize("code", ["bernoulli:c=2", "stochastic-block:c=2"])
def test_codes_that_do_not_add_up_are_refused(code: str) -> None:
    built = CODES.build(code, 7, None, np.random.default_rng(0))
    with pytest.raises(UsageError, match=rf"cached estimate.*'{built.name}'"):
        ESTIMATES.build("saga", built, 4, False)
    with pytest.raises(UsageError, match="every=0"):
        uncoded_estimate("svrg:every=0")
