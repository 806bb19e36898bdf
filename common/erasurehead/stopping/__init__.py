"""Stop rules; each is one file and one line here. A factory takes (code,)."""

from erasurehead.registry import Registry
from erasurehead.stopping.base import StopRule
from erasurehead.stopping.deadline import DeadlineStop
from erasurehead.stopping.exact import ExactStop
from erasurehead.stopping.fraction import FractionStop

STOPS: Registry[StopRule] = Registry(
    "stop rule", {"exact": ExactStop, "fraction": FractionStop, "deadline": DeadlineStop}
)
