"""Code of a user's own that registers parts: a file, a module, or an installed package's entry.

A name ``package.module:function`` lets a function of a module be named as a torch model, marked or
not (`erasurehead.models.torch_module`).

A plug-in is loaded only because a user named it (an option, a variable, a file of settings given by
name) or installed it. A run directory that names one, or a message, loads nothing.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import operator
import sys
import traceback
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path

from erasurehead.errors import UsageError

ENTRY_POINTS = "erasurehead.plugins"
"""An installed distribution names its modules under this group."""

_MACHINERY = {__file__, importlib.__file__}
"""Whose frames say nothing of where a plug-in fails."""

_loaded: dict[str, None] = {}
"""Names in the order of loading; files by their whole path."""


def load_plugins(names: Iterable[str]) -> None:
    """Load plug-ins, each once in a process, after those that installed packages bring.

    Parameters
    ----------
    names: each a path that ends in ``.py``, the name of a module, or that of a function in one.

    Raises
    ------
    UsageError: a plug-in is not there, fails, or registers a name that is taken.
    """
    _load_installed()
    for name in names:
        if name.endswith(".py"):
            _load_file(Path(name).resolve())
            _loaded[str(Path(name).resolve())] = None
        else:
            module, colon, function = name.partition(":")
            _load_module(module)
            if colon:
                _allow(module, function)
            _loaded[name] = None


def loaded_plugins() -> tuple[str, ...]:
    """Return what another process must load to know the same parts, in order."""
    return tuple(_loaded)


@functools.cache
def _load_installed() -> None:
    for entry in entry_points(group=ENTRY_POINTS):
        _run(entry.load, f"{entry.value} (entry point '{entry.name}')")


@functools.cache
def _load_module(name: str) -> None:
    if not (_is_there(name) or _is_here(name)):
        raise UsageError(
            f"there is no module {name} to load as a plug-in, neither where Python looks nor in"
            f" {Path.cwd()}; name a module, or a file that ends in .py"
        )
    _run(functools.partial(importlib.import_module, name), name)


def _is_there(name: str) -> bool:
    """Tell whether a module is found; what fails in its packages is told by the import itself."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False
    except Exception:
        return True


def _is_here(name: str) -> bool:
    """Look for a module in the working directory, and have Python look there from now on.

    An installed command looks beside itself instead, other than `python -m` and a script. The
    directory comes last, so that no file in it takes the place of a module of Python's own.
    """
    here = str(Path.cwd())
    sys.path.append(here)
    if _is_there(name):
        return True
    sys.path.remove(here)
    return False


def _allow(module: str, function: str) -> None:
    from erasurehead.models.torch_module import let_name

    try:
        found = operator.attrgetter(function)(sys.modules[module])
    except AttributeError:
        raise UsageError(
            f"the module {module} has no function {function}; name one that builds a torch module"
        ) from None
    let_name(f"{module}:{function}", found)


@functools.cache
def _load_file(path: Path) -> None:
    if not path.is_file():
        raise UsageError(
            f"there is no plug-in {path}; name a Python file, or a module without '.py'"
        )
    # Two files of one name in two folders are two modules.
    name = f"erasurehead_plugin_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as for any import: dataclasses and pickle look there
    try:
        _run(functools.partial(spec.loader.exec_module, module), str(path))
    except UsageError:
        del sys.modules[name]
        raise


def _run(load: Callable[[], object], what: str) -> None:
    """Load one plug-in; whatever it raises becomes one sentence that names it."""
    try:
        load()
    except UsageError as error:
        raise UsageError(f"plug-in {what}: {error}") from None
    except (Exception, SystemExit) as error:  # a script that ends itself would end the command
        reason = " ".join(str(error).split()) or "no reason given"
        raise UsageError(
            f"plug-in {what} failed while it was loaded: {type(error).__name__}: {reason}"
            f"{_place(error)}; mend it or leave it out"
        ) from None


def _place(error: BaseException) -> str:
    """Return the last line of Python that is a user's to mend; none if the error says it itself."""
    if isinstance(error, SyntaxError):
        return ""  # its text names file and line
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith("<") and f.filename not in _MACHINERY]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
