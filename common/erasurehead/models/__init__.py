"""What is learnt. Each model is one file and one line here."""

from typing import Any

from erasurehead.errors import UsageError
from erasurehead.models.base import Model
from erasurehead.models.gamma import Gamma
from erasurehead.models.huber import Huber
from erasurehead.models.least_squares import LeastSquares
from erasurehead.models.logistic import Logistic
from erasurehead.models.metrics import Metric
from erasurehead.models.poisson import Poisson
from erasurehead.models.softmax import Softmax
from erasurehead.models.squared_hinge import SquaredHinge
from erasurehead.models.torch_module import TorchModule
from erasurehead.models.tweedie import Tweedie
from erasurehead.registry import Registry, Spec
from erasurehead.rows import Target

MODELS: Registry[Model] = Registry(
    "model",
    {
        kind.name: kind
        for kind in (
            Logistic,
            LeastSquares,
            Softmax,
            SquaredHinge,
            Huber,
            Poisson,
            Gamma,
            Tweedie,
            TorchModule,
        )
    },
)


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


def specified(model: str, intercept: bool, n_classes: int = 0, row_shape: str = "") -> Spec:
    """Return a model as a user has written it, with what else is known of it.

    Parameters
    ----------
    intercept: whether it is to have an intercept.
    n_classes: that have names; 0: labels are no classes, or nobody has named them.
    row_shape: of the arrays that the rows were, as ``28x28``; empty: nobody has said it.

    Raises
    ------
    UsageError: there is no such model, or it takes no intercept.
    """
    spec = Spec.parse(model)
    taken, options = MODELS.options(spec.name), dict(spec.options)
    if intercept:
        if "intercept" not in taken:
            raise UsageError(
                f"the model {spec.name} takes no intercept; leave --intercept out, or add a column"
                " of ones to the data"
            )
        options["intercept"] = "true"
    if n_classes and "classes" in taken:
        options.setdefault("classes", str(n_classes))
    if row_shape and "shape" in taken:
        options.setdefault("shape", row_shape)
    return Spec(spec.name, options)


def known_metrics() -> dict[str, Metric]:
    """Return every metric that some model's factory names, by its name."""
    return {metric.name: metric for n in MODELS for metric in _said(n, "metrics", ())}


def _said(name: str, attribute: str, otherwise: Any) -> Any:
    """Return what a factory says of its models before one is made; a function may say nothing."""
    return getattr(MODELS.factory(name), attribute, otherwise)
