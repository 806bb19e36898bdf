"""Decoders and gradient estimates; each is one file and one line here.

A decoder's factory takes (code, DecoderContext); an estimate's takes (code, n_columns, ordered).
"""

from erasurehead.decoding.algorithmic import AlgorithmicDecoder
from erasurehead.decoding.base import Decoder
from erasurehead.decoding.cached import SagaEstimate
from erasurehead.decoding.circular import CircularDecoder
from erasurehead.decoding.component import ComponentDecoder
from erasurehead.decoding.disjoint import SearchDecoder
from erasurehead.decoding.estimate import GradientEstimate
from erasurehead.decoding.first_copy import FirstCopyDecoder
from erasurehead.decoding.fixed import FixedDecoder
from erasurehead.decoding.least_squares import LeastSquaresDecoder
from erasurehead.decoding.one_step import OneStepDecoder
from erasurehead.decoding.sag import SagEstimate
from erasurehead.decoding.svrg import SvrgEstimate
from erasurehead.decoding.weighted_sum import WeightedSum
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

ESTIMATES: Registry[GradientEstimate] = Registry(
    "gradient estimate",
    {"sum": WeightedSum, "saga": SagaEstimate, "sag": SagEstimate, "svrg": SvrgEstimate},
)
