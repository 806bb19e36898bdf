"""Stop rules: are the arrivals enough? Each is one file and one line here.

A factory takes (code,).
"""

from erasurehead.registry import Registry
from erasurehead.stopping.adaptive import AdaptiveStop
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.deadline import DeadlineStop
from erasurehead.stopping.exact import ExactStop
from erasurehead.stopping.fraction import FractionStop
from erasurehead.stopping.residual import ResidualStop

STOPS: Registry[StopRule] = Registry(
    "stop rule",
    {
        "exact": ExactStop,
        "fraction": FractionStop,
        "deadline": DeadlineStop,
        "residual": ResidualStop,
        "adaptive": AdaptiveStop,
    },
)
