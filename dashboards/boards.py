"""All dashboards: Run, Workers, System, and the runbooks that their panels link to."""

from __future__ import annotations

import re
from pathlib import Path

from panels import RUNBOOKS_UID, Json, dashboard, link_runbooks, text
from run_board import run_board
from system_board import system_board
from workers_board import workers_board

RUNBOOKS = Path(__file__).parent.parent / "docs" / "runbooks.md"


def runbooks() -> Json:
    """Return docs/runbooks.md as a dashboard, a panel for each runbook."""
    _, *chapters = RUNBOOKS.read_text(encoding="utf-8").split("\n## ")
    # Links lead to other files of the repository, which Grafana does not have.
    plain = [re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", chapter) for chapter in chapters]
    panels = [text(*chapter.split("\n", 1)) for chapter in plain]
    return dashboard(
        RUNBOOKS_UID,
        "ErasureHead / Runbooks",
        "What each alert means and what to do; the same as docs/runbooks.md.",
        [],
        panels,
    )


def linked(board: Json) -> Json:
    """Return a dashboard with links from its panels to their runbooks."""
    pages = {panel["title"]: panel["id"] for panel in runbooks()["panels"]}
    link_runbooks(board["panels"], pages)
    return board


BOARDS = {
    "run": lambda: linked(run_board()),
    "workers": lambda: linked(workers_board()),
    "system": lambda: linked(system_board()),
    "runbooks": runbooks,
}
"""By the name of the file."""
