"""A scheme: code, decoder, stop rule and gradient estimate, chosen by one short text.

The long form names the parts, separated by `` / ``; the last one may be left out::

    frc:c=3 / first-copy:scale=none / fraction:r=11 / saga

``code / stop rule`` takes the decoder that suits the code, ``code`` alone also the stop rule
``exact``. Shorthands name the papers' schemes: ``uncoded``, ``egc:c=3``, ``agc:c=3,r=11``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding import CODES, suitable
from erasurehead.coding.base import GradientCode
from erasurehead.coding.groups import Groups
from erasurehead.coding.options import UnknownProbabilitiesError
from erasurehead.decoding import DECODERS
from erasurehead.decoding.base import EXACT_ERROR, Decoder, DecoderContext
from erasurehead.errors import UsageError
from erasurehead.estimating import ESTIMATES
from erasurehead.registry import Registry, Spec, nearest
from erasurehead.schemes.regrouping import Placement
from erasurehead.stopping import STOPS
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.observing import LearningStop
from erasurehead.stopping.snapshot import SnapshotStop
from erasurehead.straggling.erasures import GroupErasures
from erasurehead.straggling.estimate import StragglerEstimate
from erasurehead.theory.moments import uncovered_probability

SEPARATOR = " / "


@dataclass(frozen=True, eq=False)
class BuiltScheme:
    """The parts of a scheme for one cluster.

    `estimate` is the text for `erasurehead.decoding.ESTIMATES`, which also needs the number of
    columns. `placement` is there if tasks are placed by learnt probabilities: the code follows
    some, was given none, and rounds do not wait for the full gradient.

    `loses` is the least relative error of a gradient that rounds with erasures have, 0.0 where
    there are none or something makes up for them. It is known where first copies are added with
    weights near one: a round without one of n tasks has the decode error 1/n, and so the gradient
    the relative error 1/sqrt(n). (A cache brings the error of erasures to zero.)
    """

    code: GradientCode
    decoder: Decoder
    stop: StopRule
    estimate: str
    placement: Placement | None = None
    loses: float = 0.0


@dataclass(frozen=True)
class Scheme:
    """Code, decoder, stop rule and estimate by name; `str` gives the text it was read from."""

    code: Spec
    decoder: Spec
    stop: Spec
    estimate: Spec = field(default_factory=lambda: Spec("sum"))
    written: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Read a shorthand or the long form.

        Raises
        ------
        UsageError: an unknown name, or parts missing. Options are checked by `build`, which knows
            the cluster.
        """
        _check_spaces(text)
        specs = [Spec.parse(part) for part in re.split(r"\s+/\s+", text.strip())]
        written = SEPARATOR.join(map(str, specs))
        first = specs[0]
        if len(specs) == 1 and first.name in SHORTHANDS:
            return replace(SHORTHANDS.build(first), written=written)
        if len(specs) == 1 and first.name not in CODES:
            raise UsageError(
                f"unknown scheme or code '{first.name}'"
                f"{nearest(first.name, [*SHORTHANDS, *CODES])}; schemes:"
                f" {', '.join(SHORTHANDS)}; codes: {', '.join(CODES)}"
            )
        if len(specs) > 4:
            raise UsageError(
                f"'{text}' has {len(specs)} parts; a scheme is code / decoder / stop rule, and"
                " at most a gradient estimate after them"
            )
        if first.name in SHORTHANDS and first.name not in CODES:
            raise UsageError(
                f"'{first}' is short for a whole scheme, and no other parts may follow; write it"
                " alone (with cache=saga for a cache), or spell the parts out, like"
                f" 'frc:c={first.options.get('c', '3')} / first-copy / fraction:r=5 / saga'"
            )
        CODES.factory(first.name)
        _check_places(specs)
        if len(specs) < 3:
            specs = [first, suitable_decoder(first.name), _stop_of(specs)]
        estimate = specs[3] if len(specs) == 4 else Spec("sum")
        DECODERS.factory(specs[1].name)
        STOPS.factory(specs[2].name)
        ESTIMATES.factory(estimate.name)
        return cls(first, specs[1], specs[2], estimate, written)

    def __str__(self) -> str:
        return self.written or self.long_form

    @property
    def long_form(self) -> str:
        """The parts, spelt out."""
        parts = [self.code, self.decoder, self.stop]
        if self.estimate.name != "sum":
            parts.append(self.estimate)
        return SEPARATOR.join(map(str, parts))

    @property
    def exact(self) -> bool:
        """True when every round waits for the full gradient."""
        return self.stop.name == "exact"

    def build(
        self,
        n_workers: int,
        n_tasks: int | None,
        rng: np.random.Generator,
        probabilities: FloatArray | None = None,
        learnt: StragglerEstimate | None = None,
    ) -> BuiltScheme:
        """Make the parts for `n_workers` slots.

        Parameters
        ----------
        n_tasks: n, or None for the code's natural number.
        rng: for codes that are drawn.
        probabilities: of each slot to straggle, shape (k,), for codes that place tasks by them
            and have no option p; default: all equal.
        learnt: of each slot, the estimate to go on with, for decoders whose weights follow what is
            learnt; default: a fresh one.

        Raises
        ------
        UsageError: an option that is unknown, or parts that do not fit each other or the cluster.
        """
        if n_workers < 1:
            raise UsageError(f"{n_workers} workers cannot run a code; use at least 1")
        if n_tasks is not None and n_tasks < 1:
            raise UsageError(f"{n_tasks} tasks cannot be coded; use at least 1")
        code, follows = self._code(n_workers, n_tasks, rng, probabilities)
        n_idle = int((code.replication == 0).sum())
        if self.exact and n_idle:
            raise UsageError(
                f"code '{self.code}' was drawn with {n_idle} of {code.n_tasks} tasks on none of"
                f" the {n_workers} workers, so stop rule 'exact' can never be met; use a larger"
                " load, another seed or another stop rule"
            )
        stop = STOPS.build(self.stop, code)
        arrivals = stop.arrivals
        slots = learnt or _fresh_estimate(n_workers, arrivals)
        erasures = None
        if code.groups is not None:
            guess = self._guess(code.groups, arrivals, learnt)
            erasures = GroupErasures(code.groups.of_slot, guess)
        context = DecoderContext(
            arrivals,
            lambda: 1.0 - 1.0 / slots.weights,
            None if erasures is None else lambda: erasures.weights,
        )
        decoder = DECODERS.build(self.decoder, code, context)
        if self.exact and not _exact_when_all_arrive(decoder):
            raise UsageError(
                f"decoder '{self.decoder}' does not get the full gradient of code '{self.code}'"
                f" even when all {n_workers} workers arrive, so stop rule 'exact' can never be met;"
                f" use {decoder.instead_of_exact}"
            )
        # Built for one column only to have its options and the code's fitness checked here.
        sized = ESTIMATES.build(self.estimate, code, 1, self.exact)
        if sized.renews_on_arrival:
            stop.remember(code.unit_of_slot.tolist())
        placement = None
        if follows and not self.exact:
            if probabilities is None:
                # What fits equal slots must fit what they turn out to be, or a run would end there.
                uneven = np.linspace(0.1, 0.9, n_workers)
                self.build(n_workers, n_tasks, np.random.default_rng(0), uneven)
            placed_for = slots.probabilities if probabilities is None else probabilities
            rebuild = partial(self.build, n_workers, n_tasks, rng, learnt=slots)
            placement = Placement(placed_for, slots, rebuild)
        if decoder.uses_probabilities or placement is not None:
            stop = LearningStop(stop, slots, erasures)
        if sized.snapshot_every is not None:
            stop = SnapshotStop(stop, sized.snapshot_every)
        sums = decoder.sums_first_copies and sized.memory is None
        erased = arrivals is not None and arrivals + code.tolerance < n_workers
        loses = code.n_tasks**-0.5 if sums and erased else 0.0
        return BuiltScheme(code, decoder, stop, str(self.estimate), placement, loses)

    def _guess(
        self, groups: Groups, arrivals: int | None, learnt: StragglerEstimate | None
    ) -> FloatArray:
        """Return how often each group is likely to be erased, before any round has shown it."""
        if self.exact:
            return np.zeros(groups.count)
        n_workers = len(groups.of_slot)
        if learnt is None and arrivals is not None:
            return uncovered_probability(n_workers, groups.sizes, arrivals)
        p = np.full(n_workers, 0.5) if learnt is None else learnt.probabilities
        erased = np.ones(groups.count)
        np.multiply.at(erased, groups.of_slot, p)
        return erased

    def _code(
        self,
        n_workers: int,
        n_tasks: int | None,
        rng: np.random.Generator,
        probabilities: FloatArray | None,
    ) -> tuple[GradientCode, bool]:
        """Build the code; also return whether it follows probabilities that no option gives."""
        try:
            return CODES.build(self.code, n_workers, n_tasks, rng), False
        except UnknownProbabilitiesError:
            # Equal ones place tasks alike, however large they are.
            known = np.full(n_workers, 0.5) if probabilities is None else probabilities
            return CODES.build(self.code, n_workers, n_tasks, rng, known), True


def uncoded_scheme(
    *,
    r: int | None = None,
    delta: float | None = None,
    deadline_s: float | None = None,
    scale: str | None = None,
    cache: str | None = None,
) -> Scheme:
    """Every task once; with r, delta or a deadline stragglers are ignored (arXiv 1901.09671,
    Remark 1)."""
    stop = _stop(r, delta, deadline_s)
    return _repetition(Spec("uncoded"), stop or Spec("exact"), scale, cache)


def egc_scheme(*, c: int, cache: str | None = None) -> Scheme:
    """Exact gradient coding: every group answers every round."""
    return _repetition(Spec("frc", {"c": str(c)}), Spec("exact"), None, cache)


def agc_scheme(
    *,
    c: int,
    r: int | None = None,
    delta: float | None = None,
    deadline_s: float | None = None,
    scale: str | None = None,
    cache: str | None = None,
) -> Scheme:
    """ErasureHead (arXiv 1901.09671, Algorithm 1): whoever came by the r-th arrival counts."""
    stop = _stop(r, delta, deadline_s)
    if stop is None:
        raise UsageError(
            f"scheme 'agc' needs r, delta or deadline_s to close a round; write for example"
            f" agc:c={c},delta=0.37"
        )
    return _repetition(Spec("frc", {"c": str(c)}), stop, scale, cache)


SHORTHANDS: Registry[Scheme] = Registry(
    "scheme", {"uncoded": uncoded_scheme, "egc": egc_scheme, "agc": agc_scheme}
)


def suitable_decoder(code: str) -> Spec:
    """Return the decoder that a code is made for."""
    return Spec.parse(suitable.suitable_decoder(CODES.factory(code)))


def _check_spaces(text: str) -> None:
    """Raise UsageError if parts are not set apart by spaces, as lists of numbers are not."""
    if text.strip().startswith("/") or text.strip().endswith("/"):
        raise UsageError(
            f"'{text}' has nothing before its first slash or after its last one; name a part there,"
            " or leave the slash out"
        )
    for found in re.finditer(r"\s*/\s*([a-z][a-z-]*)", text):
        known = any(found[1] in parts for parts in (DECODERS, STOPS, ESTIMATES))
        if known and not re.match(r"\s+/\s", found[0]):
            raise UsageError(
                f"'{text}' needs spaces around the slash before '{found[1]}'; the parts of a"
                " scheme are set apart like 'frc:c=3 / first-copy / fraction:r=11'"
            )


def _check_places(specs: Sequence[Spec]) -> None:
    """Raise UsageError for a part that is known, and stands where another kind belongs."""
    kinds = {
        "decoder": set(DECODERS),
        "stop rule": set(STOPS),
        "gradient estimate": set(ESTIMATES),
    }
    code, *others = specs
    # Right after a code a stop rule may stand; that a decoder there lacks one is said elsewhere.
    expected = [("decoder", "stop rule")] if len(specs) == 2 else [(kind,) for kind in kinds]
    found = {kind: s for s in others for kind, names in kinds.items() if s.name in names}
    for spec, here in zip(others, expected, strict=False):
        kind = next((kind for kind, names in kinds.items() if spec.name in names), None)
        if kind is None or kind in here:
            continue
        parts = [
            code,
            found.get("decoder", suitable_decoder(code.name)),
            found.get("stop rule", "fraction:delta=0.5"),
            *([found["gradient estimate"]] if "gradient estimate" in found else []),
        ]
        suggestion = SEPARATOR.join(map(str, parts))
        if code.name in SHORTHANDS and kind == "gradient estimate":
            suggestion = str(Spec(code.name, {**code.options, "cache": str(spec)}))
        raise UsageError(
            f"'{spec}' is a {kind} and stands where a {' or '.join(here)} belongs; the order is"
            " code / decoder / stop rule / gradient estimate, so write for example"
            f" '{suggestion}'"
        )


def _stop_of(specs: list[Spec]) -> Spec:
    """Return the stop rule of a text of one part (code) or two (code / stop rule)."""
    code = specs[0]
    if len(specs) == 1:
        decoder = suitable_decoder(code.name)
        if getattr(DECODERS.factory(decoder.name), "rarely_exact", False):
            raise UsageError(
                f"code '{code.name}' never decodes exactly before everybody has arrived, so say"
                f" when to stop; write for example '{code} / fraction:delta=0.5'"
            )
        return Spec("exact")
    if specs[1].name in DECODERS:
        raise UsageError(
            f"'{specs[1]}' is a decoder, and a stop rule must follow it; write for example"
            f" '{code} / {specs[1]} / exact'"
        )
    return specs[1]


def _exact_when_all_arrive(decoder: Decoder) -> bool:
    decoder.begin()
    for symbol in range(decoder.code.n_symbols):
        decoder.arrive(symbol)
    exact = decoder.exact and decoder.finish().decode_error <= EXACT_ERROR
    decoder.begin()
    return exact


def _fresh_estimate(n_workers: int, arrivals: int | None) -> StragglerEstimate:
    """Return an estimate that starts from 1 - r/k where the r-th arrival ends a round, else 1/2."""
    missing = 0.5 if arrivals is None else 1.0 - arrivals / n_workers
    missing = min(max(missing, 0.01), 0.99)
    return StragglerEstimate(n_workers, prior=(2.0 * missing, 2.0 * (1.0 - missing)))


def _repetition(code: Spec, stop: Spec, scale: str | None, cache: str | None) -> Scheme:
    if scale is None:
        # Changes nothing in a round that is exact, and is the better guess when somebody died.
        scale = "coverage"
    estimate = Spec.parse(cache or "sum")
    ESTIMATES.factory(estimate.name)
    return Scheme(code, Spec("first-copy", {"scale": scale}), stop, estimate)


def _stop(r: int | None, delta: float | None, deadline_s: float | None) -> Spec | None:
    given: Mapping[str, float | None] = {"r": r, "delta": delta, "deadline_s": deadline_s}
    said = {key: str(value) for key, value in given.items() if value is not None}
    if len(said) > 1:
        raise UsageError(f"a round closes by one rule, not by {' and '.join(said)}; keep one")
    if not said:
        return None
    if deadline_s is not None:
        return Spec("deadline", {"after_s": said["deadline_s"]})
    return Spec("fraction", said)
