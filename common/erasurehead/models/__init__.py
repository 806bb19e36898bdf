"""What is learnt. Each model is one file and one line here."""

from erasurehead.errors import UsageError
from erasurehead.models.base import Model
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.logistic import Logistic
from erasurehead.models.metrics import Metric
from erasurehead.registry import Registry
from erasurehead.rows import Target

MODELS: Registry[Model] = Registry("model", {kind.name: kind for kind in (Logistic, LeastSquares)})


def default_model(target: Target) -> str:
    """Return the name of the first model that is for labels of this kind.

    Raises
    ------
    UsageError: none is.
    """
    found = next((kind.name for kind in _kinds() if kind.target == target), None)
    if found is None:
        raise UsageError(f"no model is made for labels that are {target}; name one with --model")
    return found


def known_metrics() -> dict[str, Metric]:
    """Return every metric that some model reports, by its name."""
    return {metric.name: metric for kind in _kinds() for metric in kind.metrics}


def _kinds() -> list[type[Model]]:
    factories = [MODELS.factory(name) for name in MODELS]
    return [kind for kind in factories if isinstance(kind, type) and issubclass(kind, Model)]
