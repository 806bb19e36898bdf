"""The page as a whole, and the file it is written to."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

from erasurehead.process.outputs import check_output, write_output
from erasurehead.runs import Run
from erasurehead_cli.report import sections, symbols
from erasurehead_cli.report.markup import paragraphs
from erasurehead_cli.report.material import gather

KIND = "a report"
GENERATOR = '<meta name="generator" content="ErasureHead">'

# The browser itself refuses anything that is not in the page.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def report_page(
    runs: Sequence[Run], *, metric: str | None = None, target: float | None = None
) -> str:
    """Return the report on finished runs, at least one; the same runs give the same bytes.

    `metric` and `target` are as in `compare_runs`.

    Raises
    ------
    UsageError: the runs solved different problems, or do not report the metric.
    DataError: a run is unfinished, empty or damaged.
    """
    material = gather(runs, metric, target)
    settings = runs[0].settings
    store = settings.problem.store.rstrip("/").rpartition("/")[2]
    title = f"{store}: {material.labels[0] if material.single else 'comparison of runs'}"
    under = (
        f"{settings.coding.workers} workers, delay {settings.straggling.delay},"
        f" seed {settings.run.seed}"
    )
    style = files("erasurehead_cli.report").joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n{GENERATOR}\n'
        f"<title>{escape(title)} - ErasureHead</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{symbols.definitions()}\n<header><h1>{escape(title)}</h1>"
        f'<p class="under">{escape(under)}</p>'
        f'<p class="headline">{escape(sections.headline(material))}</p>'
        f"{paragraphs(material.notes, 'flaw')}</header>\n<main>\n"
        f"{''.join(part(material) for part in sections.PARTS)}</main>\n</body>\n</html>\n"
    )


def write_report(
    runs: Sequence[Run], out: Path, *, metric: str | None = None, target: float | None = None
) -> None:
    """Write the report on finished runs to a file, replaced as a whole.

    Raises
    ------
    UsageError, DataError: as `report_page`; or the file is something other than a report, or
        cannot be written.
    """
    check_output(out, KIND, _is_report)  # before the work
    page = report_page(runs, metric=metric, target=target).encode()
    write_output(out, KIND, _is_report, lambda file: file.write(page))


def _is_report(file: BinaryIO) -> bool:
    return GENERATOR.encode() in file.read(2048)
