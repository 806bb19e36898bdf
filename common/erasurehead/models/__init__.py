"""What is learnt. Each model is one file and one line here."""

from typing import Any

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
    found = next((n for n in MODELS if _said(n, "target", None) == target), None)
    if found is None:
        raise UsageError(f"no model is made for labels that are {target}; name one with --model")
    return found


def known_metrics() -> dict[str, Metric]:
    """Return every metric that some model's factory names, by its name."""
    return {metric.name: metric for n in MODELS for metric in _said(n, "metrics", ())}


def _said(name: str, attribute: str, otherwise: Any) -> Any:
    """Return what a factory says of its models before one is made; a function may say nothing."""
    return getattr(MODELS.factory(name), attribute, otherwise)
