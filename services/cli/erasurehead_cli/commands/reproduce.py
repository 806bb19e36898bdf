"""`erasurehead reproduce`: the paper's experiments on this machine, and what beats them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from erasurehead.errors import UsageError


def _file(title: str, flag: str) -> object:
    return typer.Option(
        flag, metavar="FILE", help=f"Raw data of {title}; left out: not run.", show_default=False
    )


def reproduce(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Where stores, runs and results go."),
    ] = Path("runs/reproduce"),
    amazon: Annotated[Path | None, _file("Amazon Employee Access (train.csv)", "--amazon")] = None,
    covertype: Annotated[Path | None, _file("Covertype (covtype.data)", "--covertype")] = None,
    kc_housing: Annotated[
        Path | None, _file("KC Housing (kc_house_data.csv)", "--kc-housing")
    ] = None,
    sets: Annotated[
        str | None,
        typer.Option(
            "--sets",
            metavar="NAME,...",
            help="amazon, covertype, kc-housing; with --beyond also flights, which needs no file"
            " \\[default: those whose file is given]",
            show_default=False,
        ),
    ] = None,
    settings: Annotated[
        str | None,
        typer.Option(
            "--settings",
            metavar="NAME,...",
            help="delays (exponential, mean 0.5 s), none, quotas (CPU quotas by control groups);"
            " with --beyond: iid, slow, dead \\[default: all]",
            show_default=False,
        ),
    ] = None,
    scheme: Annotated[
        list[str],
        typer.Option(
            "--scheme",
            metavar="TEXT",
            help="A scheme to run instead of the usual ones; once for each. Speed-ups need"
            " 'uncoded'.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 (read only)
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds, from 0.")] = 3,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            min=1,
            help="Rounds of the exact schemes; approximate ones run half as many again. The"
            " target is what uncoded reaches.",
        ),
    ] = 100,
    time_scale: Annotated[
        float,
        typer.Option(
            "--time-scale",
            min=0.001,
            help="Injected delays are multiplied by it; results to quote have 1.",
        ),
    ] = 1.0,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="FILE",
            help="Page to write, with figures in 'figures' beside it \\[default: DIR/results.md]",
            show_default=False,
        ),
    ] = None,
    note: Annotated[
        str | None,
        typer.Option(
            "--note",
            help="A sentence for the page on how the machine was used meanwhile.",
            show_default=False,
        ),
    ] = None,
    page_only: Annotated[
        bool,
        typer.Option("--page-only", help="Run nothing; write the page from the finished cells."),
    ] = False,
    beyond: Annotated[
        bool,
        typer.Option(
            "--beyond",
            help="Instead, measure how long whole runs take to come near the optimum by anchored"
            " L-BFGS, and what codes do for it; it writes the page's second half.",
        ),
    ] = False,
    methods: Annotated[
        str,
        typer.Option(
            "--methods",
            metavar="NAME,...",
            help="With --beyond: coded, cached, egc, uncoded, nesterov-5, nesterov-11, descent;"
            " with --against also earlier-nesterov-5, earlier-nesterov-11, earlier-descent"
            " \\[default: all]",
            show_default=False,
        ),
    ] = "",
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="DIR",
            help="With --beyond: another checkout of this repository, an earlier one, which runs"
            " the first-order methods in turns with ours.",
            show_default=False,
        ),
    ] = None,
    kinds: Annotated[
        str,
        typer.Option(
            "--kinds",
            metavar="NAME,...",
            help="With --beyond: run (with processes), ideal (drawn delays alone take time)",
        ),
    ] = "ideal,run",
) -> int:
    """Run the experiments of the ErasureHead paper, and ours against them.

    Each cell (data set, setting, scheme, seed) is a run directory under DIR. Stop it with Ctrl-C
    and give the same command to go on: finished cells are not run again.
    """
    if against is not None and not beyond:
        raise UsageError("--against is for the runs of --beyond; give both, or neither")
    files = {"amazon": amazon, "covertype": covertype, "kc-housing": kc_housing}
    given = [name for name, file in files.items() if file is not None]
    chosen = given if sets is None else _names(sets)
    if beyond and sets is None:
        chosen.append("flights")
    for name in chosen:
        if name in files and files[name] is None:
            raise UsageError(f"data set '{name}' needs its file; give it with --{name} FILE")
    if not chosen:
        raise UsageError(
            "no data set is given; name a file with --amazon, --covertype or --kc-housing"
        )

    from rich.console import Console

    from erasurehead_cli.console import logs
    from erasurehead_cli.reproduce.command import Request, carry_out
    from erasurehead_cli.reproduce.grid import build_grid

    logs.beside_progress()
    if beyond:
        from erasurehead_cli.reproduce.beyond import command
        from erasurehead_cli.reproduce.beyond.grid import build_trials

        return command.carry_out(
            command.Request(
                out=out,
                files=files,
                trials=build_trials(
                    chosen,
                    _names(settings or ""),
                    _names(methods),
                    seeds,
                    earlier=against is not None,
                ),
                shown=build_trials((), (), (), seeds, earlier=True),
                kinds=() if page_only else _kinds(kinds),
                time_scale=time_scale,
                page=results or out / "results.md",
                against=against,
            ),
            Console(),
        )
    cells = build_grid(chosen, _names(settings or "delays,none,quotas"), seeds, scheme)
    return carry_out(
        Request(
            out=out,
            files={name: file for name, file in files.items() if file is not None},
            cells=cells,
            rounds=rounds,
            time_scale=time_scale,
            page=results or out / "results.md",
            note=note,
            page_only=page_only,
        ),
        Console(),
    )


def _names(text: str) -> list[str]:
    """Return the names of a list separated by commas, each once."""
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _kinds(text: str) -> list[str]:
    """Return what to do with each trial.

    Raises
    ------
    UsageError: an unknown name.
    """
    for name in _names(text):
        if name not in ("ideal", "run"):
            raise UsageError(f"--kinds {name}: there is no such kind; expected run, ideal or both")
    return _names(text)
