"""Decoders and gradient estimates; each is one file and one line here.

A decoder's factory takes (code, DecoderContext); an estimate's takes (code, n_columns, ordered).
"""

from erasurehead.decoding.base import Decoder
from erasurehead.decoding.estimate import GradientEstimate
from erasurehead.decoding.first_copy import FirstCopyDecoder
from erasurehead.decoding.weighted_sum import WeightedSum
from erasurehead.registry import Registry

DECODERS: Registry[Decoder] = Registry("decoder", {"first-copy": FirstCopyDecoder})

ESTIMATES: Registry[GradientEstimate] = Registry("gradient estimate", {"sum": WeightedSum})
