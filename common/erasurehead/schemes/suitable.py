"""What a scheme takes that names a code alone."""

from __future__ import annotations

from erasurehead.coding import CODES, suitable
from erasurehead.decoding import DECODERS
from erasurehead.registry import Spec


def suitable_decoder(code: str) -> Spec:
    """Return the decoder that a code is made for.

    Raises
    ------
    UsageError: there is no such code.
    """
    return Spec.parse(suitable.suitable_decoder(CODES.factory(code)))


def suitable_stop(code: str) -> Spec | None:
    """Return the stop rule that suits a code with its own decoder.

    None: rounds would wait for all slots under `exact`, so the user has to choose a rule.

    Raises
    ------
    UsageError: there is no such code.
    """
    decoder = DECODERS.factory(suitable_decoder(code).name)
    return None if getattr(decoder, "rarely_exact", False) else Spec("exact")
