"""Plain sums of disjoint arrivals: largest sets by brute force, recovery table, fairness."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from erasurehead.coding import CODES
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import Decoder, DecoderContext
from erasurehead.errors import UsageError


def make(spec: str, k: int) -> GradientCode:
    return CODES.build(spec, k, None, np.random.default_rng(0))


def recovered(decoder: Decoder, slots: list[int]) -> int:
    """Tasks with weight 1; checks that weights are 0 or 1 and errors add up."""
    decoder.begin()
    for slot in slots:
        assert decoder.arrive(slot) is None
    decoding = decoder.finish()
    alpha = decoding.task_weights
    assert set(np.round(alpha, 12)) <= {0.0, 1.0}
    assert decoding.amplification == 1.0
    assert decoding.decode_error == pytest.approx(np.mean(alpha == 0))
    assert decoder.error() == decoding.decode_error
    return int(np.count_nonzero(alpha))


def brute_force(code: GradientCode, slots: list[int]) -> int:
    tasks = [set(code.tasks_of(slot).tolist()) for slot in slots]
    best = 0
    for chosen in itertools.product((0, 1), repeat=len(slots)):
        picked = [t for t, c in zip(tasks, chosen, strict=True) if c]
        union = set().union(*picked)
        if len(union) == sum(map(len, picked)):
            best = max(best, len(union))
    return best


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_circular_choice_is_largest(data: st.DataObject) -> None:
    k = data.draw(st.integers(1, 20))
    c = data.draw(st.integers(1, min(k, 5)))
    code = make(f"cyclic-sums:c={c}", k)
    decoder = DECODERS.build("circular:scale=none", code, DecoderContext())
    for _ in range(data.draw(st.integers(0, 3))):
        decoder.begin()
    slots = data.draw(st.lists(st.integers(0, k - 1), min_size=1, max_size=10, unique=True))
    assert recovered(decoder, slots) == brute_force(code, slots)


def test_circular_choice_misses_nothing_in_500_cases() -> None:
    """Random k, c and arrivals, in each of 500 cases as many tasks as the best of all subsets."""
    rng, mismatches = np.random.default_rng(0), 0
    for _ in range(500):
        k = int(rng.integers(2, 21))
        code = make(f"cyclic-sums:c={rng.integers(1, min(k, 5) + 1)}", k)
        decoder = DECODERS.build("circular:scale=none", code, DecoderContext())
        slots = rng.permutation(k)[: rng.integers(1, min(k, 8) + 1)].tolist()
        mismatches += recovered(decoder, slots) != brute_force(code, slots)
    assert mismatches == 0


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_searched_choice_is_best_for_any_placement(data: st.DataObject) -> None:
    """Random rows of unequal length; the hybrid placement; repetition."""
    k = data.draw(st.integers(1, 9))
    row = st.sets(st.integers(0, 11), min_size=1, max_size=4)
    rows = [
        (np.array(sorted(tasks)), np.ones(len(tasks)))
        for tasks in data.draw(st.lists(row, min_size=k, max_size=k))
    ]
    code = code_from_rows("random", rows, 12, n_workers=k)
    decoder = DECODERS.build("disjoint:scale=none", code, DecoderContext())
    slots = data.draw(st.lists(st.integers(0, k - 1), min_size=1, max_size=9, unique=True))
    assert recovered(decoder, slots) == brute_force(code, slots)


@pytest.mark.parametrize(
    ("r", "groups", "cyclic"), [(3, 5.50, 5.06), (6, 9.25, 8.17), (8, 10.92, 9.70)]
)
def test_tasks_recovered_of_12(r: int, groups: float, cyclic: float) -> None:
    """n = 12, c = 2: mean over all r-subsets for the FR and the CR placement; HR lies between.

    The expected numbers are from simulation, good to about 1 %."""
    means = {}
    for spec, decoder in (
        ("frc:c=2", "disjoint"),
        ("hybrid-sums:c1=1,c2=1,groups=3", "disjoint"),
        ("cyclic-sums:c=2", "circular"),
    ):
        built = DECODERS.build(f"{decoder}:scale=none", make(spec, 12), DecoderContext())
        means[spec] = np.mean(
            [recovered(built, list(s)) for s in itertools.combinations(range(12), r)]
        )
    assert means["frc:c=2"] == pytest.approx(groups, rel=0.012)
    assert means["cyclic-sums:c=2"] == pytest.approx(cyclic, rel=0.012)
    hybrid = means["hybrid-sums:c1=1,c2=1,groups=3"]
    assert means["cyclic-sums:c=2"] - 1e-9 <= hybrid <= means["frc:c=2"] + 1e-9


def test_circular_and_searched_choices_agree() -> None:
    code = make("cyclic-sums:c=3", 11)
    circular = DECODERS.build("circular:scale=none", code, DecoderContext())
    searched = DECODERS.build("disjoint:scale=none", code, DecoderContext())
    for slots in itertools.combinations(range(11), 5):
        assert recovered(circular, list(slots)) == recovered(searched, list(slots))


@pytest.mark.parametrize(
    ("spec", "decoder"),
    [("cyclic-sums:c=2", "circular"), ("hybrid-sums:c1=1,c2=1,groups=3", "disjoint")],
)
def test_nobody_is_left_out_for_good(spec: str, decoder: str) -> None:
    """When everybody always arrives, each slot is chosen in some of 24 rounds, and every round is
    as good."""
    built = DECODERS.build(decoder, make(spec, 12), DecoderContext())
    chosen: set[int] = set()
    for _ in range(24):
        built.begin()
        for slot in range(12):
            built.arrive(slot)
        chosen |= set(built.finish().held)
    assert chosen == set(range(12))


def test_coverage_scale() -> None:
    """One of four arcs of 3 tasks: weight 12/3; an exact cover has weight 1."""
    decoder = DECODERS.build("circular", make("cyclic-sums:c=3", 12), DecoderContext())
    decoder.begin()
    decoder.arrive(0)
    assert decoder.finish().held == {0: 4.0}
    for slot in (3, 6, 9):
        assert not decoder.exact
        decoder.arrive(slot)
    assert decoder.exact
    assert decoder.finish().decode_error == 0.0


def test_many_slots_are_chosen_greedily() -> None:
    """Repetition on 90 slots: one a group, although the search is limited to 64 slots."""
    code = make("frc:c=3", 90)
    decoder = DECODERS.build("disjoint:scale=none", code, DecoderContext())
    assert recovered(decoder, list(range(90))) == 90


@pytest.mark.parametrize(
    ("decoder", "spec", "words"),
    [
        ("circular", "frc:c=2", ["'circular'", "'frc'"]),
        ("circular", "osgc:p=.1/.2/.3/.4/.5/.6", ["'circular'", "coefficients of 1", "'osgc'"]),
        (
            "disjoint",
            "cyclic-repetition:s=2",
            ["'disjoint'", "coefficients of 1", "'cyclic-repetition'"],
        ),
        ("disjoint", "partial:s=1,alpha=2", ["one sum", "'partial' sends 2 parts"]),
        ("disjoint", "cyclic-mds:s=1,field=complex", ["one sum", "sends 2 vectors in a part"]),
    ],
)
def test_misfits_name_both_sides(decoder: str, spec: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        DECODERS.build(decoder, make(spec, 6), DecoderContext())
    for word in words:
        assert word in str(caught.value)
