"""Weights & Biases: a run of a project, offline unless said otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from erasurehead.tracking.base import Ending, Tracked, Tracker, missing


class WandbTracker(Tracker):
    """Settings as the configuration, numbers by round.

    Parameters
    ----------
    tracked: the run.
    project: of the run.
    mode: ``offline`` writes files that ``wandb sync`` uploads later, and needs no network.
    folder: of the files; default: the run's directory, or else the present one.
    """

    name: ClassVar[str] = "wandb"

    def __init__(
        self,
        tracked: Tracked,
        *,
        project: str = "erasurehead",
        mode: Literal["offline", "online"] = "offline",
        folder: str | None = None,
    ) -> None:
        try:
            import wandb
        except ImportError:
            raise missing(self.name, "Weights & Biases") from None
        where = folder or tracked.directory
        self._begin: Callable[[Mapping[str, str]], Any] = lambda facts: wandb.init(
            project=project,
            name=tracked.name,
            config={**tracked.settings, **facts},
            mode=mode,
            dir=where,
            settings=wandb.Settings(console="off", silent=True, x_disable_stats=True),
        )

    def begin(self, facts: Mapping[str, str]) -> None:
        """Begin a run."""
        self._run = self._begin(facts)

    def round_over(self, round_: int, closed_s: float, values: Mapping[str, float]) -> None:
        """Log numbers."""
        self._run.log({**values, "closed_s": closed_s}, step=round_)

    def end(self, values: Mapping[str, float], ending: Ending, reason: str) -> None:
        """Write the summary, and end the run."""
        self._run.summary.update({**values, "ending": reason})
        self._run.finish(exit_code=0 if ending == "finished" else 1)
