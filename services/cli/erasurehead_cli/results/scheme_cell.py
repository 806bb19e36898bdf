"""A scheme in a cell of a table: folded between its parts, so that what it says can be read."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_PIECE = re.compile(r"[^,:/= ]*(?:[,:/=] ?| )?")
"""Up to the end of a name, an option, its value or a part."""


@dataclass(frozen=True)
class SchemeCell:
    """A cell that folds after a comma, colon, slash, equals sign or space, best after a comma.

    Where not even one piece has room, the piece is cut like any other text.
    """

    text: str

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the widths of the widest piece and of the whole."""
        widths = [cell_len(piece.rstrip()) for piece in _pieces(self.text)]
        return Measurement(max(widths, default=0), cell_len(self.text)).clamp(
            max_width=options.max_width
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the lines."""
        yield Text("\n".join(folded(self.text, options.max_width)), overflow="fold")


def folded(text: str, width: int) -> list[str]:
    """Return a scheme in lines of at most `width` characters, if its pieces have room.

    A line takes as many whole options as fit; an option is broken only where it is too long itself.
    """
    lines = [""]
    for option in _options(text):
        fits = cell_len((lines[-1] + option).rstrip()) <= width
        if fits:
            lines[-1] += option
            continue
        for piece in [option] if cell_len(option.rstrip()) <= width else _pieces(option):
            if lines[-1] and cell_len((lines[-1] + piece).rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return [line.rstrip() for line in lines]


def _options(text: str) -> list[str]:
    """Return the parts of a text between commas and spaces, with what ends each."""
    return re.findall(r"[^, ]+[, ]*", text)


def _pieces(text: str) -> list[str]:
    return [piece for piece in _PIECE.findall(text) if piece]
