"""Schemes by short names: the papers' uncoded, exact (EGC) and approximate (AGC) coding, and the
one that is taken if none is named."""

from __future__ import annotations

from collections.abc import Mapping

from erasurehead.errors import UsageError
from erasurehead.estimating import ESTIMATES
from erasurehead.registry import Registry, Spec
from erasurehead.schemes.scheme import SUM, Scheme

SHORT_ROUND = 0.1
"""Share of the workers that closes a round of `cached`."""

LEAST_ARRIVALS = 2
"""That close one, however few workers there are: of one arrival alone a round learns little."""


def uncoded(
    *,
    r: int | None = None,
    delta: float | None = None,
    deadline_s: float | None = None,
    scale: str | None = None,
    cache: str | None = None,
) -> Scheme:
    """Return the scheme without a code: every task is on one worker.

    With `r`, `delta` or `deadline_s` rounds ignore stragglers (arXiv 1901.09671, Remark 1), else
    every round waits for all workers.

    Parameters
    ----------
    r: arrivals that close a round.
    delta: their share of the workers, in (0, 1].
    deadline_s: seconds after which a round closes.
    scale: of decoder `first-copy`; default: `coverage`.
    cache: the gradient estimate, for example ``saga``; default: `sum`.

    Raises
    ------
    UsageError: two rules that close a round, or an unknown estimate.
    """
    stop = _stop(r, delta, deadline_s)
    return _repetition(Spec("uncoded"), stop or Spec("exact"), scale, cache)


def egc(*, c: int, cache: str | None = None) -> Scheme:
    """Return exact gradient coding: a worker of every group answers every round.

    Parameters
    ----------
    c: tasks per worker.
    cache: as for `uncoded`.

    Raises
    ------
    UsageError: an unknown estimate.
    """
    return _repetition(Spec("frc", {"c": str(c)}), Spec("exact"), None, cache)


def agc(
    *,
    c: int,
    r: int | None = None,
    delta: float | None = None,
    deadline_s: float | None = None,
    scale: str | None = None,
    cache: str | None = None,
) -> Scheme:
    """Return ErasureHead (arXiv 1901.09671, Algorithm 1): what came by the r-th arrival counts.

    Parameters
    ----------
    c: tasks per worker.
    r, delta, deadline_s, scale, cache: as for `uncoded`; one of the first three must be given.

    Raises
    ------
    UsageError: no rule or two rules that close a round, or an unknown estimate.
    """
    stop = _stop(r, delta, deadline_s)
    if stop is None:
        raise UsageError(
            f"scheme 'agc' needs r, delta or deadline_s to close a round; write for example"
            f" agc:c={c},delta=0.37"
        )
    return _repetition(Spec("frc", {"c": str(c)}), stop, scale, cache)


def cached(
    *,
    c: int | None = None,
    r: int | None = None,
    delta: float | None = None,
    parts: str | None = None,
) -> Scheme:
    """Return short rounds of fractional repetition that remember what each group sent last.

    It is made for methods that know of each remembered gradient where it was taken, and wait for
    those that are old (`erasurehead.optimizing.anchored_lbfgs`). By default it fits any number of
    workers.

    Parameters
    ----------
    c: tasks per worker; default: those of three workers for a block of rows.
    r: arrivals that close a round.
    delta: their share of all, in (0, 1]; default: a tenth, but 2 arrivals at least.
    parts: ``tasks``: workers send each task as soon as it is done, and r counts tasks; see `frc`.

    Raises
    ------
    UsageError: both r and delta are given.
    """
    stop = _stop(r, SHORT_ROUND if r is None and delta is None else delta, None)
    assert stop is not None
    if r is None:
        stop = Spec(stop.name, {**stop.options, "least": str(LEAST_ARRIVALS)})
    given = {"c": c, "parts": parts}
    code = Spec("frc", {key: str(value) for key, value in given.items() if value is not None})
    return _repetition(code, stop, None, "sag")


SHORTHANDS: Registry[Scheme] = Registry(
    "scheme", {"uncoded": uncoded, "egc": egc, "agc": agc, "cached": cached}
)


def shorthand_of(scheme: Scheme) -> Spec | None:
    """Return the shorthand that stands for a scheme, with no more options than needed, if any."""
    offered = {
        **scheme.code.options,
        **scheme.stop.options,
        "deadline_s": scheme.stop.options.get("after_s", ""),
        "scale": scheme.decoder.options.get("scale", ""),
        "cache": str(scheme.estimate),
    }
    for name in SHORTHANDS:
        taken = [option for option in SHORTHANDS.options(name) if offered.get(option)]
        options = {option: offered[option] for option in taken}
        if not _stands_for(Spec(name, options), scheme):
            continue
        for option in taken:
            fewer = {key: value for key, value in options.items() if key != option}
            if _stands_for(Spec(name, fewer), scheme):
                options = fewer
        return Spec(name, options)
    return None


def _stands_for(short: Spec, scheme: Scheme) -> bool:
    if "," in short.options.get("cache", ""):
        return False  # A comma would end the option.
    try:
        found = SHORTHANDS.build(short)
    except UsageError:
        return False
    return _values(found) == _values(scheme)


def _values(scheme: Scheme) -> list[tuple[str, dict[str, str | float]]]:
    """Return names and options of the parts such that numbers are equal however written."""
    parts = (scheme.code, scheme.decoder, scheme.stop, scheme.estimate)
    return [(part.name, {k: _value(v) for k, v in part.options.items()}) for part in parts]


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _repetition(code: Spec, stop: Spec, scale: str | None, cache: str | None) -> Scheme:
    # Coverage changes nothing in a round that is exact, and is the better guess when a worker died.
    decoder = Spec("first-copy", {"scale": scale or "coverage"})
    estimate = SUM if cache is None else Spec.parse(cache)
    ESTIMATES.factory(estimate.name)
    return Scheme(code, decoder, stop, estimate)


def _stop(r: int | None, delta: float | None, deadline_s: float | None) -> Spec | None:
    given: Mapping[str, float | None] = {"r": r, "delta": delta, "deadline_s": deadline_s}
    # A whole number of seconds is written as one.
    said = {key: str(v).removesuffix(".0") for key, v in given.items() if v is not None}
    if len(said) > 1:
        raise UsageError(f"a round closes by one rule, not by {' and '.join(said)}; keep one")
    if not said:
        return None
    if deadline_s is not None:
        return Spec("deadline", {"after_s": said["deadline_s"]})
    return Spec("fraction", said)
