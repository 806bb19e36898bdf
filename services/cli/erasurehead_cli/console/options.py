"""Command-line options made from the settings tree, so that no setting is listed twice.

A command that takes settings is written as ``def train(given: Given, store: ...)`` and decorated
with `with_settings`; typer then sees its own parameters, one option a leaf of the tree, and
``--config``.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from erasurehead.errors import UsageError
from erasurehead.settings import spellings
from erasurehead.settings.leaves import Setting, SettingPath, flag, settings_of
from erasurehead.settings.nested import put
from erasurehead.settings.sources import S, load
from erasurehead.settings.tree import TreeSettings

StoreArgument = Annotated[
    str | None, typer.Argument(metavar="STORE", help="Prepared data.", show_default=False)
]
FiguresOption = Annotated[
    bool, typer.Option("--figures/--no-figures", help="Draw figures at the end.")
]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print warnings, errors and the last line only.")
]
RunPluginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin",
        metavar="FILE|MODULE",
        help="Python file or module that registers parts of your own, such as the run's model.",
        show_default=False,
    ),
]
UnfinishedOption = Annotated[
    bool, typer.Option("--allow-unfinished", help="Take the model of a run that was cut off.")
]
MetricOption = Annotated[
    str | None,
    typer.Option("--metric", help="Metric to time \\[default: auc or mse]", show_default=False),
]
TargetOption = Annotated[
    float | None,
    typer.Option(
        "--target",
        help="Value of the metric to time \\[default: what the baseline has reached after 9/10"
        " of its rounds]",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Given:
    """What the command line gave, before environment, file and defaults are asked.

    Attributes
    ----------
    tree: values, spelled as `load` takes them.
    """

    tree: Mapping[str, Any]
    config: Path | None
    _warned: set[str] = field(default_factory=set)

    def load(self, cls: type[S], otherwise: Mapping[str, Any] | None = None, **arguments: Any) -> S:
        """Merge with the other sources and check the whole.

        Parameters
        ----------
        otherwise: what takes the place of the tree's own defaults.
        arguments: settings that a command takes as an argument of its own; None: not given.

        Raises
        ------
        UsageError: a setting is wrong, or given both ways.
        """
        tree = dict(self.tree)
        for name, value in arguments.items():
            if value is None:
                continue
            if tree.get(name, value) != value:
                raise UsageError(
                    f"{name} is given twice, as argument '{value}' and as --{name} {tree[name]};"
                    " give it once"
                )
            tree[name] = value
        return load(cls, tree, config=self.config, otherwise=otherwise, warn=self._warn)

    def _warn(self, sentence: str) -> None:
        """Say it once, however many settings a command loads."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            typer.echo(f"erasurehead: {sentence}", err=True)


def with_settings(
    cls: type[TreeSettings], leave_out: Collection[str] = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option for each setting of a tree, and a hidden one for an old spelling.

    Parameters
    ----------
    leave_out: first names of settings that the command takes in another way, or not at all.
    """
    every = [(s.name, s, False) for s in settings_of(cls)]
    every += [(old.old, s, True) for old, s in spellings.renamed(cls, spellings.COMMAND_LINE)]
    options = {
        "setting__" + "__".join(name): (name, setting, hidden)
        for name, setting, hidden in every
        if name[0] not in leave_out
    }

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

        @functools.wraps(command)
        def run(**values: Any) -> Any:
            config = values.pop("config")
            tree: dict[str, Any] = {}
            for parameter, (name, _, _) in options.items():
                value = values.pop(parameter)
                if value is not None and value != []:
                    put(tree, name, value)
            return command(Given(tree, config), **values)

        parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in own]
        parameters.append(_parameter("config", Path | None, _CONFIG))
        parameters += [_option(parameter, *option) for parameter, option in options.items()]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        run.settings = {name: s for name, (_, s, _) in options.items()}  # type: ignore[attr-defined]
        return run

    return decorate


class SettingsCommand(TyperCommand):
    """A command that asks the registries for what they know when its help is shown."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page, with the names that a setting may have."""
        settings: Mapping[str, Setting] = getattr(self.callback, "settings", {})
        for parameter in self.params:
            if parameter.name in settings:
                parameter.help = escape(settings[parameter.name].help)  # type: ignore[attr-defined]
        super().format_help(ctx, formatter)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an interrupt is `typer.Abort`, for typer ends without a word."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None


_CONFIG = typer.Option(
    "--config",
    metavar="FILE",
    help="YAML file of settings; options and ERASUREHEAD_... variables override it",
)


def _option(parameter: str, name: SettingPath, setting: Setting, hidden: bool) -> inspect.Parameter:
    switch = setting.kind is bool
    info = typer.Option(
        f"--{flag(name)}/--no-{flag(name)}" if switch else f"--{flag(name)}",
        hidden=hidden,
        metavar=None if switch else setting.values,
        rich_help_panel=setting.group,
    )
    # Text: the tree itself reads and checks the value, with one sentence of its own.
    kind = list[str] if setting.is_list else bool if switch else str
    return _parameter(parameter, kind | None, info)


def _parameter(name: str, kind: Any, info: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, info]
    )


def check_target(target: float | None) -> None:
    """Refuse a target that no metric reaches.

    Raises
    ------
    UsageError: it is not finite.
    """
    if target is not None and not math.isfinite(target):
        raise UsageError(f"--target {target} is not a number to reach")
