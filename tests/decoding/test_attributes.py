"""What decoders say of themselves, on all arrival sets of small codes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from erasurehead.coding import CODES
from erasurehead.coding.suitable import suitable_decoder
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import EXACT_ERROR, Decoder, DecoderContext, Decoding

PAIRS = [
    ("frc:c=2", "first-copy:scale=none"),
    ("frc:c=2", "first-copy:scale=coverage"),
    ("frc:c=2", "least-squares"),
    ("cyclic-mds:s=1", "least-squares"),
    ("bernoulli:c=3", "least-squares"),
    ("bernoulli:c=3", "one-step:scale=mean"),
    ("bernoulli:c=3", "one-step:scale=optimal"),
    ("pairwise-balanced:d=2", "fixed:p=0.3"),
    ("bernoulli:c=3", "algorithmic"),
    ("graph:d=2", "component"),
    ("cyclic-sums:c=2", "circular"),
    ("cyclic-sums:c=2", "disjoint"),
]
K = 6


def build(code: str, decoder: str) -> Decoder:
    built = CODES.build(code, K, None, np.random.default_rng(1))
    return DECODERS.build(decoder, built, DecoderContext())


def rounds(decoder: Decoder) -> Iterator[tuple[tuple[int, ...], bool, Decoding]]:
    """Play a round with every set of at least one arrival."""
    for size in range(1, K + 1):
        for slots in itertools.combinations(range(K), size):
            decoder.begin()
            for slot in slots:
                decoder.arrive(slot)
            yield slots, decoder.exact, decoder.finish()


def test_every_decoder_is_looked_at() -> None:
    assert {decoder.partition(":")[0] for _, decoder in PAIRS} == set(DECODERS)


@pytest.mark.parametrize(("code", "text"), PAIRS)
def test_when_arrivals_are_exact_is_as_it_is_said(code: str, text: str) -> None:
    decoder = build(code, text)
    dense = decoder.code.matrix.toarray()
    for slots, exact, _ in rounds(decoder):
        rows = dense[list(slots)]
        weights = np.linalg.lstsq(rows.T, np.ones(decoder.code.n_tasks), rcond=None)[0]
        decodable = bool(np.mean((weights @ rows - 1.0) ** 2) < EXACT_ERROR)
        if decoder.exact_when_decodable:
            assert exact == decodable, slots
        if decoder.exact_needs_all:
            assert exact == (len(slots) == K), slots


@pytest.mark.parametrize(("code", "text"), PAIRS)
def test_no_task_is_left_out_unless_it_is_said(code: str, text: str) -> None:
    decoder = build(code, text)
    held = decoder.code.matrix.toarray() != 0
    for slots, _, decoding in rounds(decoder):
        uncovered = int(np.count_nonzero(~held[list(slots)].any(axis=0)))
        if decoder.may_leave_tasks_out:
            assert decoding.erased_tasks >= uncovered, slots
        else:
            assert decoding.erased_tasks == uncovered, slots


@pytest.mark.parametrize(("code", "text"), PAIRS)
def test_first_copies_have_weights_near_one(code: str, text: str) -> None:
    decoder = build(code, text)
    if not decoder.sums_first_copies:
        return
    groups = decoder.code.groups
    assert groups is not None
    for slots, _, decoding in rounds(decoder):
        covered = np.isin(groups.of_task, groups.of_symbol[list(slots)])
        assert len(set(decoding.task_weights[covered])) == 1
        assert not decoding.task_weights[~covered].any()


@pytest.mark.parametrize(("code", "text"), PAIRS)
def test_errors_are_no_worse_than_those_of_one_step_where_it_is_said(code: str, text: str) -> None:
    decoder = build(code, text)
    scale = decoder.no_worse_than_one_step
    if scale is None:
        return
    if decoder.code.matrix.data.min() < 0:
        return  # One-step decoding does not take such coefficients.
    one_step = build(code, f"one-step:scale={scale}")
    for (_, _, found), (slots, _, simple) in zip(rounds(decoder), rounds(one_step), strict=True):
        assert found.decode_error <= simple.decode_error + 1e-12, slots


@pytest.mark.parametrize("name", [*CODES])
def test_decoders_that_are_rarely_exact_are_so_with_the_codes_made_for_them(name: str) -> None:
    """One arrival less than all is never exact."""
    text = suitable_decoder(CODES.factory(name))
    if not getattr(DECODERS.factory(text.partition(":")[0]), "rarely_exact", False):
        return
    options = "".join(f":{o}=3" for o in CODES.options(name) if o in ("c", "d"))
    k = 7 if name == "design" else K
    p = np.full(k, 0.3)
    code = CODES.build(name + options, k, None, np.random.default_rng(1), p)
    decoder = DECODERS.build(text, code, DecoderContext(None, lambda: p))
    for slots in itertools.combinations(range(k), k - 1):
        decoder.begin()
        for slot in slots:
            decoder.arrive(slot)
        assert not decoder.exact, slots
