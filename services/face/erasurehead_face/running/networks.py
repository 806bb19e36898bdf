"""Torch modules as models of a run: `eh.torch_model`.

Workers are processes that never run the script or notebook of their user. A function that they can
import is named to them. Others, and a factory with a loss, travel as cloudpickle writes them, in a
private file of this process that a plug-in beside it reads: from this process to its own children,
and never over a socket.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from erasurehead.errors import UsageError
from erasurehead.models.torch_module import Loss, with_loss
from erasurehead.registry import Spec
from erasurehead.settings.plugins import load_plugins

PLUGIN = '''"""A torch module that was handed over; it is there as long as its process."""

from pathlib import Path

import cloudpickle

from erasurehead.models.torch_module import let_name

let_name("{name}", cloudpickle.loads(Path(__file__).with_suffix(".pickle").read_bytes()))
'''


def torch_model(
    build: Callable[..., Any], loss: Loss | None = None, *, shape: Sequence[int] | None = None
) -> str:
    """Return the text that stands for a torch module: ``eh.train(X, y, model=...)`` takes it.

    It is known in this process and in the workers that it starts, as long as the process lives.

    Parameters
    ----------
    build: with `loss`, a class of modules or a function that returns one; it is given the number of
        columns if it cannot do without an argument. Without, a function of the number of columns
        that returns (module, loss).
    loss: of outputs, shape (rows,) or (rows, outputs of a row), and labels, shape (rows,), both of
        torch.float64: one number a row (``reduction="none"``).
    shape: the module gets rows of this shape, whose entries are the columns; None: of one axis, or
        as the store has it.

    Raises
    ------
    UsageError: it is no function, or cannot be handed over, or cloudpickle is not installed.
    """
    if not callable(build) or not (loss is None or callable(loss)):
        what, given = ("loss", loss) if callable(build) else ("build", build)
        raise UsageError(
            f"{what}={given!r:.60} of a torch model is no function; give a class of modules or a"
            " function that builds one, and a loss of outputs and labels (not what it returns)"
        )
    named = _named(build) if loss is None else None
    options = {"build": named or _handed_over(build, loss)}
    if shape is not None:
        options["shape"] = "x".join(str(int(size)) for size in shape)
    return str(Spec("torch", options))


def _named(build: Callable[..., Any]) -> str | None:
    """Let workers import a function; None: they cannot."""
    module, name = getattr(build, "__module__", ""), getattr(build, "__qualname__", "")
    if module == "__main__" or module not in sys.modules or "<" in name or not name:
        return None
    load_plugins([f"{module}:{name}"])
    return f"{module}:{name}"


def _handed_over(build: Callable[..., Any], loss: Loss | None) -> str:
    """Write a function down for workers; return what it is called."""
    try:
        import cloudpickle
    except ImportError:
        raise UsageError(
            "a torch module from a script or a notebook reaches workers by cloudpickle, which is"
            " not installed; install erasurehead[torch], or name a function of a module of your own"
        ) from None
    try:
        written = cloudpickle.dumps(build if loss is None else with_loss(build, loss))
    except Exception as error:  # pickling runs code of any kind
        raise UsageError(
            f"the torch module cannot be handed to workers: {type(error).__name__}: {error}; leave"
            " out of its functions what belongs to this process, such as open files"
        ) from None
    digest = hashlib.sha256(written).hexdigest()[:12]
    called = re.sub(r"\W", "_", getattr(build, "__name__", "module"))
    name = f"handed_over:{called}_{digest}"
    plugin = _folder() / f"{called}_{digest}.py"
    if not plugin.exists():
        plugin.with_suffix(".pickle").write_bytes(written)
        plugin.write_text(PLUGIN.format(name=name), encoding="utf-8")
    load_plugins([str(plugin)])
    return name


@functools.cache
def _folder() -> Path:
    """Make the folder of what this process hands over; it is gone with the process."""
    folder = Path(tempfile.mkdtemp(prefix="erasurehead-handed-over-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
