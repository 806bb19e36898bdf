"""When a run is done, before its last round: conditions on how it goes.

Each condition is one file and one line here. A factory's first option is what may stand right after
the name: ``gap:1e-3``.
"""

from erasurehead.finishing.base import Condition
from erasurehead.finishing.elapsed import TimeOver
from erasurehead.finishing.gap import GapBelow
from erasurehead.finishing.gradient import GradientBelow
from erasurehead.finishing.loss_change import LossChangeBelow
from erasurehead.finishing.metric import MetricReached
from erasurehead.registry import Registry

CONDITIONS: Registry[Condition] = Registry(
    "condition",
    {
        "gap": GapBelow,
        "gradient": GradientBelow,
        "metric": MetricReached,
        "time": TimeOver,
        "loss-change": LossChangeBelow,
    },
)
