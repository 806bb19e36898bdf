"""The grid from its first cell to the page of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from erasurehead.datasets.prepare import prepare
from erasurehead.errors import EXIT_DIVERGED, EXIT_INTERRUPTED, EXIT_OK, UsageError, reason_of
from erasurehead_cli.reproduce.cells import Workshop
from erasurehead_cli.reproduce.cpu_quotas import QuotaGroups, QuotasUnavailableError
from erasurehead_cli.reproduce.grid import Cell
from erasurehead_cli.reproduce.overall import Overall

GUESSED_ROUND_S = {"delays": 0.03, "none": 0.06, "quotas": 0.4}
"""What a round takes beside injected delays; for the time left only."""

GUESSED_START_S = 3.0
GUESSED_FROM_ROUNDS = 10


@dataclass(frozen=True)
class Request:
    """What the command line asked for.

    Attributes
    ----------
    files: raw data by data set.
    page: where the results go.
    note: for the page.
    page_only: nothing is run.
    """

    out: Path
    files: Mapping[str, Path]
    cells: Sequence[Cell]
    rounds: int
    time_scale: float
    page: Path
    note: str | None = None
    page_only: bool = False


def carry_out(request: Request, console: Console) -> int:
    """Prepare the data, run what is missing, write the page.

    Raises
    ------
    UsageError, DataError: a file or a setting is wrong.
    """
    workshop = Workshop(request.out, request.rounds, request.time_scale)
    _check_writable(request.page)
    _prepare(request, console)
    code, skipped = EXIT_OK, {}
    if not request.page_only:
        missing = [cell for cell in request.cells if not workshop.finished(cell)]
        done = len(request.cells) - len(missing)
        console.print(f"{len(request.cells)} cells, {done} of them finished", highlight=False)
        skipped = _unavailable({cell.setting for cell in missing})
        for setting, reason in skipped.items():
            console.print(f"skipping setting {setting}: {reason}", highlight=False, soft_wrap=True)
        code = _run(workshop, [c for c in missing if c.setting not in skipped], console)
    if code == EXIT_INTERRUPTED:
        console.print("stopped; give the same command to go on")
    finished = [cell for cell in request.cells if workshop.finished(cell)]
    if not finished:
        if code == EXIT_OK:
            raise UsageError(f"no cell under {request.out} is finished; there is nothing to show")
        return code
    # matplotlib and the page are not needed while cells run.
    from erasurehead_cli.reproduce.page import write_page
    from erasurehead_cli.reproduce.results import read_results

    write_page(read_results(workshop, finished), request.page, skipped, request.note)
    console.print(f"results  {request.page}", highlight=False, soft_wrap=True)
    return code


def _check_writable(page: Path) -> None:
    """Before hours of cells, not after them."""
    from erasurehead_cli.reproduce.page import check_place

    check_place(page)
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        with page.open("a", encoding="utf-8"):
            pass
        if not page.stat().st_size:
            page.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write the results to {page}: {reason_of(error)}; name another file with"
            " --results"
        ) from None


def _prepare(request: Request, console: Console) -> None:
    for name in dict.fromkeys(cell.data_set.name for cell in request.cells):
        made = prepare(name, source=request.files[name], out=request.out / "stores" / name)
        how = "there already" if made.reused else f"prepared in {made.seconds:.1f} s"
        console.print(f"{name}: {how}", highlight=False)


def _unavailable(settings: set[str]) -> dict[str, str]:
    """Return settings that this machine does not permit, with the reason."""
    if "quotas" not in settings:
        return {}
    try:
        with QuotaGroups([]):
            return {}
    except QuotasUnavailableError as error:
        return {"quotas": str(error)}


def _run(workshop: Workshop, cells: Sequence[Cell], console: Console) -> int:
    """Run cells in order; an interrupt ends it, and what is finished stays.

    Returns the exit code of the last cell that failed, if one did.
    """
    code = EXIT_OK
    expected_s = [_expected_s(workshop, cell) for cell in cells]
    with Overall(console, cells, expected_s) as overall:
        for index, cell in enumerate(cells):
            overall.begin(index)
            summary = workshop.run(cell, console, [overall])
            if summary.exit_code == EXIT_INTERRUPTED:
                return EXIT_INTERRUPTED
            a_round = summary.wall_s / max(summary.rounds, 1)
            ending = "" if summary.exit_code == EXIT_OK else f", {summary.reason}"
            if summary.exit_code not in (EXIT_OK, EXIT_DIVERGED):
                code = summary.exit_code
                ending += "; not counted, give the same command to run it again"
            overall.end(index, f"{summary.wall_s:.1f} s, {a_round * 1e3:.4g} ms a round{ending}")
    return code


def _expected_s(workshop: Workshop, cell: Cell) -> float:
    ideal_s = workshop.ideal_s(cell, GUESSED_FROM_ROUNDS)
    a_round_s = GUESSED_ROUND_S[cell.setting] + float(ideal_s.mean() if len(ideal_s) else 0.0)
    return GUESSED_START_S + cell.rounds(workshop.rounds) * a_round_s
