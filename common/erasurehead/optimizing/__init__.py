"""From gradients to a better model: methods, step sizes, penalties, curvature.

Each method is one file and one line here. A factory takes (problem,).
"""

from erasurehead.optimizing.base import Method
from erasurehead.optimizing.gradient_descent import GradientDescent
from erasurehead.optimizing.nesterov import Nesterov
from erasurehead.registry import Registry

METHODS: Registry[Method] = Registry(
    "optimizer", {"gradient-descent": GradientDescent, "nesterov": Nesterov}
)
