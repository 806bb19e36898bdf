"""The text of a scheme: how it is read and printed, and what is said of a misspelt one.

The long form names the parts, separated by `` / ``; all but the code may be left out::

    frc:c=3 / first-copy:scale=none / fraction:r=11 / saga

``code / stop rule`` takes the decoder that suits the code, ``code`` alone also the stop rule
``exact``. Shorthands name the papers' schemes (``uncoded``, ``egc:c=3``, ``agc:c=3,r=11``) and the
one that is taken if none is named, ``cached``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from erasurehead.coding import CODES
from erasurehead.decoding import DECODERS
from erasurehead.errors import UsageError
from erasurehead.estimating import ESTIMATES
from erasurehead.registry import Spec, nearest
from erasurehead.schemes.scheme import SUM, Scheme
from erasurehead.schemes.shorthands import SHORTHANDS, shorthand_of
from erasurehead.schemes.suitable import suitable_decoder, suitable_stop
from erasurehead.stopping import STOPS

SEPARATOR = " / "


@functools.lru_cache
def parse(text: str) -> Scheme:
    """Read a shorthand or the long form; a text that was read is not read again.

    Raises
    ------
    UsageError: an unknown name, or parts missing. Options are checked where the scheme is fitted to
        a cluster (`Coding.of`).
    """
    _check_spaces(text)
    specs = _specs(text)
    first = specs[0]
    if len(specs) == 1 and first.name in SHORTHANDS:
        return SHORTHANDS.build(first)
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
    estimate = specs[3] if len(specs) == 4 else SUM
    DECODERS.factory(specs[1].name)
    STOPS.factory(specs[2].name)
    ESTIMATES.factory(estimate.name)
    return Scheme(first, specs[1], specs[2], estimate)


def tidied(text: str) -> str:
    """Return a scheme's text with its spaces as they are usually written.

    Raises
    ------
    UsageError: a part is not of the form ``name:key=value,...``.
    """
    return SEPARATOR.join(map(str, _specs(text)))


def spelt_out(scheme: Scheme) -> str:
    """Return the long form, without the plain gradient estimate."""
    parts = [scheme.code, scheme.decoder, scheme.stop]
    if scheme.estimate != SUM:
        parts.append(scheme.estimate)
    return SEPARATOR.join(map(str, parts))


def shortest(scheme: Scheme) -> str:
    """Return the short name of a scheme if it has one (`egc:c=3`), else the long form."""
    return str(shorthand_of(scheme) or spelt_out(scheme))


def _specs(text: str) -> list[Spec]:
    return [Spec.parse(part) for part in re.split(r"\s+/\s+", text.strip())]


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


def _stop_of(specs: Sequence[Spec]) -> Spec:
    """Return the stop rule of a text of one part (code) or two (code / stop rule)."""
    code = specs[0]
    if len(specs) == 1:
        stop = suitable_stop(code.name)
        if stop is None:
            raise UsageError(
                f"code '{code.name}' never decodes exactly before all workers have answered, so say"
                f" when to stop; write for example '{code} / fraction:delta=0.5'"
            )
        return stop
    if specs[1].name in DECODERS:
        raise UsageError(
            f"'{specs[1]}' is a decoder, and a stop rule must follow it; write for example"
            f" '{code} / {specs[1]} / exact'"
        )
    return specs[1]
