"""MLflow: a run of an experiment, in a local folder or at a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from erasurehead.tracking.base import Ending, Tracked, Tracker, missing

AT_ONCE = 900
"""Numbers sent together; MLflow takes 1000."""

PARAMETERS_AT_ONCE = 90
STATES = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MlflowTracker(Tracker):
    """Settings as parameters, numbers as metrics by round.

    Parameters
    ----------
    tracked: the run.
    experiment: made if there is none of that name.
    uri: where to: a folder, a database or a server; default: MLflow's own, which its variable
        ``MLFLOW_TRACKING_URI`` says.
    """

    name: ClassVar[str] = "mlflow"

    def __init__(
        self, tracked: Tracked, *, experiment: str = "erasurehead", uri: str | None = None
    ) -> None:
        try:
            from mlflow import MlflowClient
        except ImportError:
            raise missing(self.name, "MLflow (mlflow, or mlflow-skinny)") from None
        if uri is not None and (uri.startswith("file:") or "://" not in uri):
            _allow_files()
        self._tracked = tracked
        self._experiment = experiment
        self._connect: Callable[[], Any] = lambda: MlflowClient(tracking_uri=uri)
        self._waiting: list[Any] = []

    def begin(self, facts: Mapping[str, str]) -> None:
        """Begin a run, and keep the settings."""
        from mlflow.entities import Param

        self._client = client = self._connect()
        known = client.get_experiment_by_name(self._experiment)
        number = (
            client.create_experiment(self._experiment) if known is None else known.experiment_id
        )
        self._run = client.create_run(number, run_name=self._tracked.name).info.run_id
        told = {**self._tracked.settings, **facts}
        parameters = [Param(key, value) for key, value in told.items()]
        for first in range(0, len(parameters), PARAMETERS_AT_ONCE):
            client.log_batch(self._run, params=parameters[first : first + PARAMETERS_AT_ONCE])

    def round_over(self, round_: int, closed_s: float, values: Mapping[str, float]) -> None:
        """Keep numbers, and send them when there are many."""
        from mlflow.entities import Metric

        at_ms = round(closed_s * 1e3)
        self._waiting += [Metric(name, value, at_ms, round_) for name, value in values.items()]
        if len(self._waiting) >= AT_ONCE:
            self._send()

    def end(self, values: Mapping[str, float], ending: Ending, reason: str) -> None:
        """Send the rest, and end the run."""
        self._send()
        self._client.set_tag(self._run, "ending", reason)
        self._client.set_terminated(self._run, STATES[ending])

    def _send(self) -> None:
        for first in range(0, len(self._waiting), AT_ONCE):
            self._client.log_batch(self._run, metrics=self._waiting[first : first + AT_ONCE])
        self._waiting = []


def _allow_files() -> None:
    """Say that files are what the user wants: MLflow refuses them since 3.13 unless told so."""
    from mlflow import environment_variables

    allowed = getattr(environment_variables, "MLFLOW_ALLOW_FILE_STORE", None)
    if allowed is not None:
        allowed.set(True)
