"""How runs are told apart: by colour, by dash and by marker at once.

Colours are CSS variables (``style.css``) with a light and a dark form; a reader does not need them,
because dash and marker differ as well.
"""

from __future__ import annotations

from html import escape

N_COLOURS = 7
N_DASHES = 5

_MARKERS = (
    '<circle r="4"/>',
    '<rect x="-3.6" y="-3.6" width="7.2" height="7.2"/>',
    '<path d="M0-5 4.6 3.4H-4.6Z"/>',
    '<path d="M0-5.2 5.2 0 0 5.2-5.2 0Z"/>',
    '<path d="M0 5 4.6-3.4H-4.6Z"/>',
    '<path d="M-1.5-5H1.5V-1.5H5V1.5H1.5V5H-1.5V1.5H-5V-1.5H-1.5Z"/>',
    '<path class="hollow" d="M-4-4 4 4M-4 4 4-4"/>',
)

_HATCHES = {
    "wait": "",
    "encode": '<path d="M0 6 6 0"/>',
    "decode": '<path d="M0 3H6"/>',
    "step": '<path d="M0 0 6 6M0 6 6 0"/>',
    "evaluation": '<path d="M3 0V6"/>',
    "other": '<circle cx="3" cy="3" r="1"/>',
}

PHASES = tuple(_HATCHES)
"""Phases of the master's time that have a fill of their own."""


def definitions() -> str:
    """Return the hidden drawing that the charts of a page refer to."""
    markers = "".join(f'<g id="m{i}">{shape}</g>' for i, shape in enumerate(_MARKERS))
    hatches = "".join(
        f'<pattern id="h-{name}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<rect width="6" height="6" class="fill-{name}"/><g class="hatch">{lines}</g></pattern>'
        for name, lines in _HATCHES.items()
    )
    return (
        '<svg class="definitions" width="0" height="0" aria-hidden="true"><defs>'
        f"{markers}{hatches}</defs></svg>"
    )


def colour(index: int) -> str:
    """Return the class that gives run `index` its colour."""
    return f"c{index % N_COLOURS}"


def line_classes(index: int) -> str:
    """Return the classes of the line of run `index`: colour and dash."""
    return f"{colour(index)} d{index % N_DASHES}"


def marker(index: int) -> str:
    """Return the id of the marker of run `index`."""
    return f"m{index % len(_MARKERS)}"


def key(index: int) -> str:
    """Return a sample of the line of run `index`, as in a legend."""
    return (
        '<svg class="key" width="38" height="14" aria-hidden="true">'
        f'<line class="line {line_classes(index)}" x1="1" y1="7" x2="37" y2="7"/>'
        f'<use class="mark {colour(index)}" href="#{marker(index)}" x="19" y="7"/></svg>'
    )


def legend(labels: list[str]) -> str:
    """Return the legend of several runs; nothing for a single one."""
    if len(labels) < 2:
        return ""
    items = "".join(f"<li>{key(i)} {escape(label)}</li>" for i, label in enumerate(labels))
    return f'<ul class="legend">{items}</ul>'


def phase_key(phase: str, label: str) -> str:
    """Return an item of a legend of phases."""
    return (
        '<li><svg class="key" width="20" height="14" aria-hidden="true">'
        f'<rect width="20" height="14" fill="url(#h-{phase})"/></svg> {escape(label)}</li>'
    )
