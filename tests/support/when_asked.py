"""A run that ends when the test asks for it, however fast the machine is."""

from __future__ import annotations

from pathlib import Path

PLUGIN = """
from pathlib import Path
from erasurehead.finishing import CONDITIONS
from erasurehead.finishing.base import Condition

class WhenAsked(Condition):
    def met(self, course):
        return "somebody asked for it" if Path(__file__).with_name("enough").exists() else None

CONDITIONS.register("when-asked", WhenAsked)
"""


class Asking:
    """Ends a run whose master is another process and takes `options`.

    Parameters
    ----------
    folder: for the plug-in, and for the file whose coming ends the run.
    """

    def __init__(self, folder: Path) -> None:
        self._enough = folder / "enough"
        plugin = folder / "when_asked.py"
        plugin.write_text(PLUGIN)
        self.options = ["--plugin", str(plugin), "--until", "when-asked", "--rounds", "1000000"]

    def enough(self) -> None:
        """Ask for the run's end."""
        self._enough.touch()
