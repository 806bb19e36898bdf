"""The command line: its subcommands, and errors as one sentence and an exit code."""

from __future__ import annotations

import errno
import inspect
import sys
from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from erasurehead.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    ErasureHeadError,
    reason_of,
)
from erasurehead.process.version import installed_version
from erasurehead_cli.console.options import SettingsCommand

COMMANDS = (
    "prepare",
    "train",
    "chaos",
    "compare",
    "report",
    "reproduce",
    "simulate",
    "plan",
    "trace",
    "stragglers",
    "predict",
    "export",
    "master",
    "worker",
    "slurm",
    "settings",
    "keys",
)
"""In the order of the help page. Each is a module of `commands`, which has a function or a group of
commands of that name."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""Errors of a write to a disk that is full, or gone."""


def application(wanted: Collection[str] = COMMANDS) -> typer.Typer:
    """Return the command line with these subcommands; the modules of no others are imported."""
    app = typer.Typer(
        name="erasurehead",
        rich_markup_mode="rich",
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(erasurehead)
    for name in COMMANDS:
        if name in wanted:
            command = getattr(import_module(f"erasurehead_cli.commands.{name}"), name)
            if isinstance(command, typer.Typer):
                app.add_typer(command)
            else:
                app.command(cls=SettingsCommand, help=_paragraphs(command))(command)
    return app


def _paragraphs(command: Callable[..., Any]) -> str:
    """Return what a command says of itself, without the ends of lines of its source: typer keeps
    them in all paragraphs but the first."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


# The base of what the parser raises; its home differs between versions of typer.
ParserError: type[Exception] = typer.BadParameter.__mro__[2]


def erasurehead(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.")
    ] = False,
) -> None:
    """Distributed gradient descent that does not wait for stragglers."""
    if show_version:
        typer.echo(f"erasurehead {installed_version()}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    else:
        return
    raise typer.Exit(EXIT_OK)


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code (docs/exit-codes.md).

    An error that a user can cause is one sentence on stderr; anything else keeps its traceback.
    """
    # A command has nothing to wait for in the modules of the others.
    wanted = list(arguments[:1]) if arguments and arguments[0] in COMMANDS else COMMANDS
    try:
        code = application(wanted)(
            args=list(arguments),
            prog_name="erasurehead",
            standalone_mode=False,
        )
    except ErasureHeadError as error:
        return _say(str(error), error.exit_code)
    except ParserError as error:
        return _say(_parser_sentence(error), EXIT_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", EXIT_INTERRUPTED)
    except MemoryError as error:
        return _say(
            f"there is not enough memory for this ({str(error) or 'no more could be had'}); use"
            " fewer workers, tasks, rounds or a smaller load",
            EXIT_USAGE,
        )
    except BrokenPipeError:
        # The reader of our output has gone; there is no one left to tell, and the interpreter
        # must not try to flush into the closed pipe when it ends.
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123
        return EXIT_OK
    except OSError as error:
        # Files of our own are written with care elsewhere, so this was standard output, of which
        # errors have no name. The interpreter must not try to flush it when it ends.
        if error.errno not in NO_ROOM or error.filename is not None:
            raise
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123
        return _say(
            f"cannot write the output: {reason_of(error)}; make room, or send it elsewhere",
            EXIT_USAGE,
        )
    return code if isinstance(code, int) else EXIT_OK


def _parser_sentence(error: Exception) -> str:
    """Return the parser's message, and which help to read."""
    context = getattr(error, "ctx", None)
    sentence: str = error.format_message().rstrip(".")  # type: ignore[attr-defined]
    sentence = sentence or "this command needs another one after it"
    path = "erasurehead" if context is None else context.command_path
    return f"{sentence}; see {path} --help"


def _say(sentence: str, code: int) -> int:
    typer.echo(f"erasurehead: {' '.join(sentence.split())}", err=True)
    return code
