"""Gradient estimates: from arrivals' vectors to one gradient. Each is one file and one line here.

A factory takes (code, n_parameters, ordered).
"""

from erasurehead.estimating.base import GradientEstimate
from erasurehead.estimating.sag import SagEstimate
from erasurehead.estimating.saga import SagaEstimate
from erasurehead.estimating.svrg import SvrgEstimate
from erasurehead.estimating.weighted_sum import WeightedSum
from erasurehead.registry import Registry

ESTIMATES: Registry[GradientEstimate] = Registry(
    "gradient estimate",
    {"sum": WeightedSum, "saga": SagaEstimate, "sag": SagEstimate, "svrg": SvrgEstimate},
)
