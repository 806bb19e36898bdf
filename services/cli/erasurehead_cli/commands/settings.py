"""`erasurehead settings`: the effective settings, or the page that describes them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from erasurehead.settings.tree import (
    MasterSettings,
    RunSettings,
    SlurmSettings,
    TreeSettings,
    WorkerSettings,
)
from erasurehead.settings.yaml_file import as_yaml
from erasurehead_cli.console.options import Given, SettingsCommand, with_settings

settings = typer.Typer(name="settings", rich_markup_mode="rich")

_STORE: Any = typer.Argument(metavar="STORE", help="Prepared data.", show_default=False)


@settings.callback(invoke_without_command=True)
def of(
    context: typer.Context,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/settings.md instead.")
    ] = False,
) -> None:
    """Print the effective settings of a command as YAML, and run nothing."""
    if markdown:
        from erasurehead_cli.pages.settings_page import settings_markdown

        typer.echo(settings_markdown(), nl=False)
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@settings.command(cls=SettingsCommand)
@with_settings(RunSettings)
def train(given: Given, store: Annotated[str | None, _STORE] = None) -> None:
    """Print what `erasurehead train` would run with."""
    _show(given.load(RunSettings, store=store))


@settings.command(cls=SettingsCommand)
@with_settings(MasterSettings)
def master(given: Given, store: Annotated[str | None, _STORE] = None) -> None:
    """Print what `erasurehead master` would run with."""
    _show(given.load(MasterSettings, store=store))


@settings.command(cls=SettingsCommand)
@with_settings(WorkerSettings)
def worker(given: Given) -> None:
    """Print what `erasurehead worker` would run with."""
    _show(given.load(WorkerSettings))


@settings.command(cls=SettingsCommand)
@with_settings(SlurmSettings)
def slurm(given: Given, store: Annotated[str | None, _STORE] = None) -> None:
    """Print what `erasurehead slurm` would run with, but for what it learns from the job."""
    _show(given.load(SlurmSettings, store=store))


def _show(effective: TreeSettings) -> None:
    typer.echo(as_yaml(effective), nl=False)
