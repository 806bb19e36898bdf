"""docs/results.md: every number from the finished cells."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from erasurehead.errors import UsageError
from erasurehead.process.outputs import check_output, write_output
from erasurehead_cli.reproduce import machine, pictures
from erasurehead_cli.reproduce.grid import SETTINGS, UNCODED, DataSet
from erasurehead_cli.reproduce.results import Measured, Reached, Results, Spread
from erasurehead_cli.reproduce.targets import (
    EXACT,
    Claim,
    agc_claims,
    our_claims,
    undelayed_claims,
)
from erasurehead_cli.results import figures
from erasurehead_cli.results.number_format import seconds, times

_WIDTH = 100
"""Characters in a line of prose, as on every page."""

SECOND_HALF = "<!-- beyond -->"
"""Parts what the two ways of the command write."""

KIND, OPTION = "the results", "--results"

HEADING = {
    "delays": "Injected delays (exponential, mean {mean_s:g} s)",
    "none": "No injected delays",
    "quotas": "CPU quotas: 24 workers with 4 % of a core each, 6 with 0.7 %",
}


def write_page(
    results: Results, page: Path, skipped: Mapping[str, str], note: str | None = None
) -> None:
    """Write the page, and its figures into ``figures`` beside it.

    Parameters
    ----------
    skipped: settings that could not be run, with the reason.
    note: what a reader must know of the circumstances.
    """
    page.parent.mkdir(parents=True, exist_ok=True)
    settings = [s for s in SETTINGS if results.sets(s)]
    drawn: dict[str, list[Path]] = {}
    cdf: list[Path] = []
    if figures.available():
        directory = page.parent / "figures"
        drawn = pictures.draw_all(results, settings, directory)
        if any(results.cells(d, s, UNCODED) for s in settings for d in results.sets(s)):
            cdf = [pictures.draw_stragglers(results, settings, directory / "stragglers.png")]
    lines = [*_head(results), *([] if note is None else [_paragraph(note), ""])]
    lines += _claims(results)
    for setting in settings:
        lines += _setting(results, setting, _images(drawn.get(setting, ()), page.parent))
    for setting, reason in skipped.items():
        lines += [f"## {HEADING[setting].partition(':')[0]}", "", f"Not run: {reason}.", ""]
    if cdf:
        lines += ["## How late the workers are", "", *_stragglers(), *_images(cdf, page.parent)]
    text = "\n".join(lines).rstrip() + "\n" + _second_half(page)
    write_output(page, KIND, is_results, lambda file: file.write(text.encode()), OPTION)


def check_place(page: Path) -> None:
    """Refuse a place where there is something else than earlier results.

    Raises
    ------
    UsageError: a file of the page's name, or of a figure's, that was not written with a page.
    """
    check_output(page, KIND, is_results, OPTION)
    for name in () if page.exists() else pictures.NAMES:
        path = page.parent / "figures" / name
        if path.exists():
            raise UsageError(
                f"{path} is there already without the results that it belongs to; name another"
                f" place with {OPTION}, or remove it"
            )


def is_results(file: BinaryIO) -> bool:
    """Tell whether a file was written by the command, with --beyond or without."""
    return b"Written by `erasurehead reproduce" in file.read(2048)


def first_half(page: Path) -> str:
    """Return what stands before the second half, which --beyond writes."""
    return page.read_text(encoding="utf-8").partition(SECOND_HALF)[0] if page.exists() else ""


def _second_half(page: Path) -> str:
    """Return the second half of the page that is there."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    _, mark, rest = text.partition(SECOND_HALF)
    return f"\n{mark}{rest}" if mark else ""


def _head(results: Results) -> Iterator[str]:
    shop = results.workshop
    seeds = {m.cell.seed for m in results.measured}
    others = [m.extra.other_cores for m in results.measured if m.extra.other_cores is not None]
    yield from ("# Results", "")
    yield _paragraph(
        "Written by `erasurehead reproduce` from its finished cells; not edited by hand. Section 5"
        " of arXiv 1901.09671 on one machine: 30 worker processes and a master over ZeroMQ,"
        " the paper's data sets, encodings and step sizes. Every time is wall clock: from the first"
        " round's opening to the end, evaluations included."
    )
    yield ""
    told = {
        **machine.describe(),
        "cells": f"{len(results.measured)}, seeds {', '.join(map(str, sorted(seeds)))}",
        "rounds": f"{shop.rounds} (approximate schemes half as many again)",
        "delays multiplied by": f"{shop.time_scale:g}",
        "SHA-256 of the raw records": f"`{results.digest}`",
    }
    if others:
        told["cores that other work used meanwhile"] = (
            f"median {np.median(others):.2f}, most {max(others):.2f}"
        )
    yield from _table(["what", "value"], [[k, v] for k, v in told.items()])
    yield ""
    yield _paragraph(
        "*Target*: the test metric that uncoded has after its last round; *within 0.5 %* of it is"
        " easier. Both can only be seen at evaluations, every 5 rounds. *Ideal*: what the drawn"
        " delays alone would cost, if computing, sending and decoding took no time. *Objective*:"
        " the mean loss over all training rows, against uncoded's after as many rounds. With"
        " several seeds: the median (least to greatest)."
    )
    yield ""


def _claims(results: Results) -> Iterator[str]:
    sections = {
        "A round": agc_claims(results),
        "To the target": our_claims(results),
        "Without delays": undelayed_claims(results),
    }
    claims = {kind: found for kind, every in sections.items() if (found := list(every))}
    if not claims:
        return
    yield from ("## Aims", "")
    yield _paragraph(
        "Measured on the wall clock, and in brackets the ideal of injected delays. A number that"
        " misses its bound is bold."
    )
    yield ""
    for kind, every in claims.items():
        rows: dict[tuple[str, str], dict[str, str]] = {}
        for claim in every:
            column = f"{claim.what} ({'least' if claim.at_least else 'most'} {claim.bound:g})"
            rows.setdefault((claim.data_set.title, claim.scheme), {})[column] = _verdict(claim)
        columns = list(dict.fromkeys(column for row in rows.values() for column in row))
        yield from (f"### {kind}", "")
        yield from _table(
            ["data set", "scheme", *columns],
            [
                [title, _code(scheme), *(row.get(column, "-") for column in columns)]
                for (title, scheme), row in rows.items()
            ],
        )
        yield ""


def _verdict(claim: Claim) -> str:
    show = _times if claim.at_least else _difference
    if claim.found is None:
        return "not reached"
    text = show(claim.found) if claim.met else f"**{show(claim.found)}**"
    return text if claim.ideal is None else f"{text} \\[{show(claim.ideal)}]"


def _setting(results: Results, setting: str, images: Sequence[str]) -> Iterator[str]:
    mean_s = 0.5 * results.workshop.time_scale
    yield from (f"## {HEADING[setting].format(mean_s=mean_s)}", "")
    yield from images
    for data_set in results.sets(setting):
        yield from (f"### {data_set.title}", "")
        yield from _schemes(results, setting, data_set)
        yield ""


def _schemes(results: Results, setting: str, data_set: DataSet) -> Iterator[str]:
    delayed = setting == "delays"
    columns = ["scheme", "seeds", "rounds", "a round"]
    columns += ["ideal", "over ideal"] if delayed else []
    columns += ["over uncoded, a round", "within 0.5 %", "over uncoded", "to the target"]
    columns += ["over uncoded", "over best egc", "objective"]
    rows = []
    for label in results.labels(data_set, setting):
        cells = results.cells(data_set, setting, label)

        def spread(value: Callable[[Measured], float | None], label: str = label) -> Spread | None:
            return results.spread(data_set, setting, label, value)

        row = [_code(label), str(len(cells)), _ended(cells), _seconds(spread(lambda m: m.round_s))]
        if delayed:
            row += [_seconds(spread(lambda m: m.ideal_round_s)), _times(spread(_over_ideal))]
        row += [
            _times(spread(lambda m: results.per_round(m, UNCODED))),
            _reached(cells, lambda m: m.near),
            _times(spread(lambda m: results.to_value(m, [UNCODED], lambda one: one.near))),
            _reached(cells, lambda m: m.target),
            _times(spread(lambda m: results.to_value(m, [UNCODED], lambda one: one.target))),
            _times(spread(lambda m: results.to_value(m, EXACT, lambda one: one.target))),
            _difference(spread(results.objective_difference)),
        ]
        rows.append(row)
    yield from _table(columns, rows)


def _stragglers() -> Iterator[str]:
    yield _paragraph(
        "The arrivals of all workers in the rounds of `uncoded`, over the median of their round"
        " (the paper's Figure 1 shows 148 machines, the slowest at 8 times the median)."
    )
    yield ""


def _over_ideal(measured: Measured) -> float | None:
    ideal_s = measured.ideal_round_s
    return measured.round_s / ideal_s if ideal_s else None


def _ended(cells: Sequence[Measured]) -> str:
    rounds = "/".join(dict.fromkeys(str(m.rounds) for m in cells))
    return rounds if all(m.finite for m in cells) else f"{rounds}, diverged"


def _reached(cells: Sequence[Measured], which: Callable[[Measured], Reached | None]) -> str:
    found = [r for m in cells if (r := which(m)) is not None]
    if not found:
        return "not reached"
    rounds = "/".join(dict.fromkeys(str(r.round) for r in found))
    missed = f", {len(cells) - len(found)} never" if len(found) < len(cells) else ""
    return f"{_seconds(Spread(tuple(r.wall_s for r in found)))} (round {rounds}{missed})"


def _seconds(spread: Spread | None) -> str:
    return _spread(spread, seconds)


def _times(spread: Spread | None) -> str:
    return _spread(spread, times)


def _difference(spread: Spread | None) -> str:
    return _spread(spread, lambda value: f"{value:+.1e}")


def _spread(spread: Spread | None, show: Callable[[float], str]) -> str:
    if spread is None:
        return "-"
    if len(spread.values) == 1:
        return show(spread.median)
    return f"{show(spread.median)} ({show(min(spread.values))} to {show(max(spread.values))})"


def _paragraph(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _code(label: str) -> str:
    return f"`{label}`"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield "| --- |" + " ---: |" * (len(columns) - 1)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _images(paths: Iterable[Path], beside: Path) -> list[str]:
    lines = []
    for path in paths:
        lines += [f"![{path.stem.replace('-', ' ')}]({path.relative_to(beside)})", ""]
    return lines
