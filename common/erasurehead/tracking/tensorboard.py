"""TensorBoard: an event file in the run's directory, or in another folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from erasurehead.tracking.base import Ending, Tracked, Tracker, missing

ELSEWHERE = "runs/tensorboard"
"""Where event files of runs without a directory lie, a folder each."""


class TensorBoardTracker(Tracker):
    """Scalars by round, and the settings as text.

    Parameters
    ----------
    tracked: the run.
    folder: of the event file; default: ``tensorboard`` in the run's directory.
    """

    name: ClassVar[str] = "tensorboard"

    def __init__(self, tracked: Tracked, *, folder: str | None = None) -> None:
        try:
            import tensorboardX
        except ImportError:
            raise missing(self.name, "tensorboardX") from None
        if folder is None:
            own = tracked.directory
            folder = f"{ELSEWHERE}/{tracked.name}" if own is None else f"{own}/tensorboard"
        self._settings = tracked.settings
        self._open: Callable[[], Any] = lambda: tensorboardX.SummaryWriter(
            folder, write_to_disk=True
        )

    def begin(self, facts: Mapping[str, str]) -> None:
        """Write the settings as a table."""
        self._writer = self._open()
        rows = [f"| {key} | {value} |" for key, value in {**self._settings, **facts}.items()]
        self._writer.add_text(
            "settings", "\n".join(["| setting | value |", "| --- | --- |", *rows])
        )

    def round_over(self, round_: int, closed_s: float, values: Mapping[str, float]) -> None:
        """Write scalars."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, round_)

    def end(self, values: Mapping[str, float], ending: Ending, reason: str) -> None:
        """Write how the run ended, and close the file."""
        self._writer.add_text("ending", f"{ending}: {reason}")
        self._writer.close()
