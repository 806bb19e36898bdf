"""From gradients to a better model: methods, step sizes, penalties, curvature.

Each method is one file and one line here. A factory takes (problem,).
"""

from erasurehead.optimizing.adam import Adam
from erasurehead.optimizing.anchored_lbfgs import AnchoredLbfgs
from erasurehead.optimizing.base import Method
from erasurehead.optimizing.damped_lbfgs import DampedLbfgs
from erasurehead.optimizing.diagonal import Diagonal
from erasurehead.optimizing.gradient_descent import GradientDescent
from erasurehead.optimizing.lbfgs import Lbfgs
from erasurehead.optimizing.momentum import Momentum
from erasurehead.optimizing.nesterov import Nesterov
from erasurehead.optimizing.restarted_nesterov import RestartedNesterov
from erasurehead.registry import Registry

METHODS: Registry[Method] = Registry(
    "optimizer",
    {
        "gradient-descent": GradientDescent,
        "momentum": Momentum,
        "adam": Adam,
        "nesterov": Nesterov,
        "restarted-nesterov": RestartedNesterov,
        "diagonal": Diagonal,
        "lbfgs": Lbfgs,
        "damped-lbfgs": DampedLbfgs,
        "anchored-lbfgs": AnchoredLbfgs,
    },
)
