"""A scheme: code, decoder, stop rule and gradient estimate, chosen by one short text.

The long form names the parts, separated by `` / `` (the last one may be left out)::

    frc:c=3 / first-copy:scale=none / fraction:r=11 / saga

Shorthands name the papers' schemes: ``uncoded``, ``egc:c=3``, ``agc:c=3,r=11``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from erasurehead.coding import CODES
from erasurehead.coding.base import FloatArray, GradientCode
from erasurehead.decoding import DECODERS, ESTIMATES
from erasurehead.decoding.base import Decoder, DecoderContext
from erasurehead.errors import UsageError
from erasurehead.registry import Registry, Spec
from erasurehead.stopping import STOPS
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.fraction import FractionStop

SEPARATOR = " / "


@dataclass(frozen=True, eq=False)
class BuiltScheme:
    """The parts of a scheme for one cluster.

    `estimator` is the text for `erasurehead.decoding.ESTIMATES`, which also needs the number of
    columns.
    """

    code: GradientCode
    decoder: Decoder
    stop: StopRule
    estimator: str


@dataclass(frozen=True)
class Scheme:
    """Code, decoder, stop rule and estimate by name; `str` gives the text it was read from."""

    code: Spec
    decoder: Spec
    stop: Spec
    estimator: Spec = field(default_factory=lambda: Spec("sum"))
    written: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Read a shorthand or the long form.

        Raises
        ------
        UsageError: an unknown name, or parts missing. Options are checked by `build`, which knows
            the cluster.
        """
        parts = re.split(r"\s+/\s+", text.strip())
        if len(parts) == 1:
            spec = _shorthand(text)
            return replace(SHORTHANDS.build(spec), written=str(spec))
        if len(parts) > 4:
            raise UsageError(
                f"'{text}' has {len(parts)} parts; a scheme is code / decoder / stop rule, and"
                " at most a gradient estimate after them"
            )
        if len(parts) < 3:
            raise UsageError(
                f"'{text}' has {len(parts)} parts; a scheme is code / decoder / stop rule, for"
                " example frc:c=3 / first-copy / exact"
            )
        code, decoder, stop, *rest = (Spec.parse(part) for part in parts)
        estimator = rest[0] if rest else Spec("sum")
        CODES.factory(code.name)
        DECODERS.factory(decoder.name)
        STOPS.factory(stop.name)
        ESTIMATES.factory(estimator.name)
        scheme = cls(code, decoder, stop, estimator)
        return replace(scheme, written=scheme.long_form)

    def __str__(self) -> str:
        return self.written or self.long_form

    @property
    def long_form(self) -> str:
        """The parts, spelt out."""
        parts = [self.code, self.decoder, self.stop]
        if self.estimator.name != "sum":
            parts.append(self.estimator)
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
        probabilities: Callable[[], FloatArray] | None = None,
    ) -> BuiltScheme:
        """Make the parts for `n_workers` slots.

        Parameters
        ----------
        n_tasks: n, or None for the code's natural number.
        rng: for codes that are drawn.
        probabilities: returns the current straggler probability of each slot, shape (k,).

        Raises
        ------
        UsageError: an option that is unknown, or parts that do not fit each other or the cluster.
        """
        if n_workers < 1:
            raise UsageError(f"{n_workers} workers cannot run a code; use at least 1")
        if n_tasks is not None and n_tasks < 1:
            raise UsageError(f"{n_tasks} tasks cannot be coded; use at least 1")
        known = None if probabilities is None else probabilities()
        code = CODES.build(self.code, n_workers, n_tasks, rng, known)
        stop = STOPS.build(self.stop, code)
        context = DecoderContext(
            stop_arrivals=stop.r if isinstance(stop, FractionStop) else None,
            probabilities=probabilities,
        )
        decoder = DECODERS.build(self.decoder, code, context)
        return BuiltScheme(code, decoder, stop, str(self.estimator))


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


def _shorthand(text: str) -> Spec:
    spec = Spec.parse(text)
    if spec.name in CODES and spec.name not in SHORTHANDS:
        raise UsageError(
            f"'{text}' is a code without decoder and stop rule; write for example"
            f" '{text.strip()} / first-copy / exact'"
        )
    return spec


def _repetition(code: Spec, stop: Spec, scale: str | None, cache: str | None) -> Scheme:
    if scale is None:
        scale = "none" if stop.name == "exact" else "coverage"
    estimator = Spec.parse(cache or "sum")
    ESTIMATES.factory(estimator.name)
    return Scheme(code, Spec("first-copy", {"scale": scale}), stop, estimator)


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
