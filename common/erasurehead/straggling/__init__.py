"""Delay models: how long each slot is held up in each round; a model is one file, one line here."""

from erasurehead.registry import Registry
from erasurehead.straggling.base import DelayModel
from erasurehead.straggling.bimodal import BimodalDelay
from erasurehead.straggling.exponential import ExponentialDelay
from erasurehead.straggling.gilbert_elliott import GilbertElliottDelay
from erasurehead.straggling.none import NoDelay
from erasurehead.straggling.pareto import ParetoDelay
from erasurehead.straggling.persistent import PersistentDelay
from erasurehead.straggling.shifted_exponential import ShiftedExponentialDelay
from erasurehead.straggling.trace import read_trace
from erasurehead.straggling.unequal_exponential import UnequalExponentialDelay

DELAYS: Registry[DelayModel] = Registry(
    "delay model",
    {
        "none": NoDelay,
        "exponential": ExponentialDelay,
        "shifted-exponential": ShiftedExponentialDelay,
        "unequal-exponential": UnequalExponentialDelay,
        "pareto": ParetoDelay,
        "persistent": PersistentDelay,
        "bimodal": BimodalDelay,
        "gilbert-elliott": GilbertElliottDelay,
        "trace": read_trace,
    },
)
