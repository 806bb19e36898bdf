"""Callbacks of scikit-learn, which has them since 1.9; before that an estimator has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from erasurehead.records import Observer

__all__ = ["CallbackSupport", "FitCallbacks", "with_callbacks"]

F = TypeVar("F", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
    from sklearn.callback import with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupport:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: F) -> F:
        """Return the method."""
        return method


Attributes = Callable[[Any], Mapping[str, Any]]
"""From parameters to the fitted attributes that they stand for."""


class FitCallbacks(Observer):
    """Tells the callbacks of an estimator of its fit and of each round; one may end the fit.

    Parameters
    ----------
    estimator: being fitted.
    rounds: that there may be at most.
    X, y, sample_weight: that it is fitted to.
    attributes: of a fitted estimator.
    """

    def __init__(
        self,
        estimator: Any,
        rounds: int,
        X: Any,
        y: Any,
        sample_weight: Any,
        attributes: Attributes,
    ) -> None:
        self._estimator = estimator
        self._data = {
            "X": X,
            "y": y,
            "metadata": None if sample_weight is None else {"sample_weight": sample_weight},
        }
        self._attributes = attributes
        begin = getattr(estimator, "_init_callback_context", None)
        self._context = None if begin is None else begin(max_subtasks=rounds)
        if self._context is not None:
            self._context.call_on_fit_task_begin(estimator=estimator, **self._data)
        self._told_of_rounds = bool(getattr(estimator, "_skl_callbacks", ()))

    def moved(self, round_: int, model: Callable[[], Any]) -> str | None:
        """Tell of a round as a task that began and ended."""
        if self._context is None or not self._told_of_rounds:
            return None
        task = self._context.subcontext(task_name="round")
        task.call_on_fit_task_begin(estimator=self._estimator, **self._data)
        stop = task.call_on_fit_task_end(
            estimator=self._estimator,
            **self._data,
            reconstruction_attributes=lambda: self._attributes(model()),
        )
        return "a callback asked for the end of the fit" if stop else None

    def ended(self) -> None:
        """Tell that the estimator is fitted."""
        if self._context is not None:
            self._context.call_on_fit_task_end(
                estimator=self._estimator, **self._data, reconstruction_attributes={}
            )
