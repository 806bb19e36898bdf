"""Decoders: from arrivals to weights. Each is one file and one line here.

A factory takes (code, DecoderContext).
"""

from erasurehead.decoding.algorithmic import AlgorithmicDecoder
from erasurehead.decoding.base import Decoder
from erasurehead.decoding.circular import CircularDecoder
from erasurehead.decoding.component import ComponentDecoder
from erasurehead.decoding.disjoint import SearchDecoder
from erasurehead.decoding.first_copy import FirstCopyDecoder
from erasurehead.decoding.fixed import FixedDecoder
from erasurehead.decoding.least_squares import LeastSquaresDecoder
from erasurehead.decoding.one_step import OneStepDecoder
from erasurehead.registry import Registry

DECODERS: Registry[Decoder] = Registry(
    "decoder",
    {
        "first-copy": FirstCopyDecoder,
        "one-step": OneStepDecoder,
        "least-squares": LeastSquaresDecoder,
        "algorithmic": AlgorithmicDecoder,
        "component": ComponentDecoder,
        "circular": CircularDecoder,
        "disjoint": SearchDecoder,
        "fixed": FixedDecoder,
    },
)
