"""What is learnt. Each model is one file and one line here."""

from erasurehead.models.base import Model
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.logistic import Logistic
from erasurehead.models.metrics import Metric
from erasurehead.registry import Registry

MODELS: Registry[Model] = Registry("model", {kind.name: kind for kind in (Logistic, LeastSquares)})


def known_metrics() -> dict[str, Metric]:
    """Return every metric that some model reports, by its name."""
    return {metric.name: metric for kind in _kinds() for metric in kind.metrics}


def _kinds() -> list[type[Model]]:
    factories = [MODELS.factory(name) for name in MODELS]
    return [kind for kind in factories if isinstance(kind, type) and issubclass(kind, Model)]
