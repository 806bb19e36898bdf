"""A torch module as a model. This is the one file of the library that imports torch, when asked.

The parameters are one flat vector, which torch sees through views of it; a gradient is one backward
pass for each weighting of the rows, by one thread.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.errors import UsageError
from erasurehead.models.base import Model
from erasurehead.models.metrics import MSE, R2, Metric
from erasurehead.models.rows import Piece
from erasurehead.models.softmax import CLASS_METRICS, class_refusal, log_probabilities
from erasurehead.registry import Spec, nearest

Loss = Callable[[Any, Any], Any]
Build = Callable[[int], tuple[Any, Loss]]

BUILDS: dict[str, Build] = {}
"""Functions that may be named as models, by ``package.module:function``: those that `torch_build`
has marked, and those that the user of this process has named."""

SHAPE = re.compile(r"[1-9][0-9]*(x[1-9][0-9]*)*")
"""Of a row: 28x28."""

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

DENSE_ENTRIES = 1 << 22
"""Entries of rows that are spelt out at one time."""


def torch_build(build: Build) -> Build:
    """Let a function of a plug-in be named as a model: ``torch:package.module:function``.

    A plug-in is loaded where its user says so, and other functions are let be named by the user of
    a process alone (`erasurehead.settings.plugins`): no sender of a message decides what a worker
    runs.

    Parameters
    ----------
    build: takes the number of columns and returns (module, loss), as `TorchModule` has it.
    """
    BUILDS[f"{build.__module__}:{build.__qualname__}"] = build
    return build


def let_name(name: str, build: Build) -> None:
    """Let a function be named as a model in this process, by ``package.module:function``.

    torch is loaded now, if it is there. A process that forks workers loads it once for all of them:
    each for itself takes seconds of a core and hundreds of megabytes.
    """
    BUILDS.setdefault(name, build)
    with suppress(UsageError):
        _torch()


def with_loss(factory: Callable[..., Any], loss: Loss) -> Build:
    """Return the function that builds a module by a factory, and has a loss.

    `factory` is a class of modules or a function that returns one. It is given the number of
    columns if it cannot do without an argument.
    """

    def build(n_columns: int) -> tuple[Any, Loss]:
        parameters = inspect.signature(factory).parameters.values()
        needs = any(p.default is p.empty and p.kind in POSITIONAL for p in parameters)
        return factory(n_columns) if needs else factory(), loss

    return build


class TorchModule(Model):
    """A module, and a loss of its outputs and the labels, as a marked function builds them.

    `loss(outputs, labels)` is the loss of each row, shape (rows,), for outputs of shape (rows,) or
    (rows, outputs of a row) and labels of shape (rows,), all of torch.float64. The module gets rows
    with all columns, shape (rows, columns) or (rows, *shape), and starts from its own initial
    state, drawn with the seed of the run.

    Parameters that require no gradient are not learnt, and are what they are when the module is
    built with the seed 0. What is not the same for every copy of a task is refused: buffers that
    change as rows go by, as those of batch normalisation do, and modules that are random.

    Parameters
    ----------
    n_columns: columns of the store.
    labels: of the training rows; of no use here.
    build: which function.
    classes: how many classes the labels 0, 1, 2, ... are; None: they are numbers, or -1 and +1.
    shape: of a row, as ``28x28``, whose entries are the columns in C order; None: one axis.

    Raises
    ------
    UsageError: torch is not installed; there is no such function, or it fails; the shape has not
        as many entries as there are columns; or the module is refused, has nothing to learn, or its
        loss is not one number a row.
    """

    name = "torch"
    metrics: tuple[Metric, ...] = (MSE, R2)

    def __init__(
        self,
        n_columns: int,
        labels: FloatArray | None = None,
        *,
        build: str,
        classes: int | None = None,
        shape: str | None = None,
    ) -> None:
        self._torch = _torch()
        self._shape = _row_shape(shape, n_columns)
        self._build, self._named = _function(build), build
        self._module, self._loss = self._built(n_columns, 0)
        self._shapes = {name: p.shape for name, p in self._learnt(self._module)}
        super().__init__(n_columns, sum(shape.numel() for shape in self._shapes.values()))
        if not self.n_parameters:
            raise self._refused("has no parameter that requires a gradient; leave one at least")
        # What labels are, the number of classes says, and no class of models.
        self.target = "numbers" if classes is None else "classes"  # type: ignore[misc]
        self._classes = classes
        options = {"build": build}
        if classes is not None:
            options["classes"] = str(classes)
            self.metrics = CLASS_METRICS
        if shape is not None:
            options["shape"] = shape
        self.spec = Spec(self.name, options)
        with self._one_thread():
            self._try_out()

    def start(self, rng: np.random.Generator) -> FloatArray:
        """Return the parameters of a module that is built with a seed of the run."""
        module, _ = self._built(self.n_columns, int(rng.integers(2**31)))
        flat = [p.detach().reshape(-1).numpy() for _, p in self._learnt(module)]
        return np.concatenate(flat)

    def outputs(self, rows: Piece, theta: FloatArray) -> FloatArray:
        """Return the module's outputs, shape (rows,) or (rows, outputs of a row)."""
        views = self._views(self._torch.from_numpy(np.array(theta)))
        with self._one_thread(), self._torch.no_grad():
            found = [self._of(views, x).numpy() for x, _ in self._dense(rows)]
        return np.concatenate(found)

    def losses(self, outputs: FloatArray, labels: FloatArray) -> FloatArray:
        """Return the loss of each row, shape (rows,)."""
        with self._one_thread(), self._torch.no_grad():
            loss = self._loss(self._tensor(outputs), self._tensor(labels))
        return np.asarray(loss.numpy())

    def sums(
        self, rows: Piece, theta: FloatArray, weightings: Sequence[FloatArray | None]
    ) -> list[tuple[float, FloatArray]]:
        """Return a sum of losses and a sum of gradients for each weighting of the rows."""
        losses = [0.0] * len(weightings)
        gradients = [np.zeros(self.n_parameters) for _ in weightings]
        with self._one_thread():
            for x, here in self._dense(rows):
                flat = self._torch.from_numpy(np.array(theta)).requires_grad_()
                outputs = self._of(self._views(flat), x)
                loss = self._loss(outputs, self._tensor(rows.labels[here]))
                for v, weights in enumerate(weightings):
                    weighed = loss if weights is None else loss * self._tensor(weights[here])
                    total = weighed.sum()
                    more = v + 1 < len(weightings)
                    (slope,) = self._torch.autograd.grad(total, flat, retain_graph=more)
                    losses[v] += float(total.detach())
                    gradients[v] += slope.numpy()
        return list(zip(losses, gradients, strict=True))

    def probabilities(self, outputs: FloatArray) -> FloatArray | None:
        """Return the softmax of the outputs, if labels are classes."""
        return None if self._classes is None else np.exp(log_probabilities(outputs))

    def refusal(self, labels: FloatArray) -> str | None:
        """Refuse what is no class, or no finite number."""
        if self._classes is None:
            return super().refusal(labels)
        return class_refusal(labels, self._classes)

    def _built(self, n_columns: int, seed: int) -> tuple[Any, Callable[[Any, Any], Any]]:
        """Return the module in double precision, and the loss; no random state is changed."""
        with self._torch.random.fork_rng(devices=[]):
            self._torch.manual_seed(seed)
            try:
                module, loss = self._build(n_columns)
                return module.to(self._torch.float64).train(), loss
            except Exception as error:
                raise self._refused(f"fails: {type(error).__name__}: {_line(error)}") from None

    def _learnt(self, module: Any) -> Iterator[tuple[str, Any]]:
        """Yield the parameters to learn; those that are tied come once."""
        return ((name, p) for name, p in module.named_parameters() if p.requires_grad)

    def _views(self, flat: Any) -> dict[str, Any]:
        sizes = [shape.numel() for shape in self._shapes.values()]
        parts = zip(self._shapes.items(), flat.split(sizes), strict=True)
        return {name: part.view(shape) for (name, shape), part in parts}

    def _of(self, views: dict[str, Any], x: Any) -> Any:
        outputs = self._torch.func.functional_call(self._module, views, (x,))
        return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs

    def _dense(self, rows: Piece) -> Iterator[tuple[Any, slice]]:
        """Yield some rows at a time as a tensor, and which they are."""
        n, width = rows.matrix.shape
        step = max(1, DENSE_ENTRIES // max(width, 1))
        for lo in range(0, n, step):
            here = slice(lo, min(lo + step, n))
            part = rows.matrix[here]
            dense = part if isinstance(part, np.ndarray) else part.toarray()
            yield self._tensor(dense).reshape(-1, *self._shape), here

    def _tensor(self, array: FloatArray) -> Any:
        return self._torch.from_numpy(np.array(array, dtype=np.float64))

    def _try_out(self) -> None:
        """Refuse what cannot be learnt from coded sums, by two rows that are made up."""
        x = self._torch.linspace(-1, 1, 2 * self.n_columns, dtype=self._torch.float64)
        x = x.reshape(2, *self._shape)
        labels = self._torch.tensor([0.0, 1.0], dtype=self._torch.float64)
        before = [(name, b.clone()) for name, b in self._module.named_buffers()]
        views = {name: p.detach() for name, p in self._learnt(self._module)}
        try:
            with self._torch.no_grad(), self._torch.random.fork_rng(devices=[]):
                first, second = self._of(views, x), self._of(views, x)
                loss = self._loss(first, labels)
        except Exception as error:
            reason = f"{type(error).__name__}: {_line(error)}"
            raise self._refused(f"fails on two rows: {reason}") from None
        now = dict(self._module.named_buffers())
        changed = [name for name, b in before if not self._torch.equal(b, now[name])]
        if changed:
            raise self._refused(
                f"has the buffer '{changed[0]}', which changes as rows go by, on each worker by its"
                " own; leave batch normalisation out, or take one without running statistics"
            )
        if not self._torch.equal(first, second):
            raise self._refused(
                "gives two outputs on the same rows, and copies of a task must agree; leave dropout"
                " and other noise out"
            )
        if loss.shape != (2,) or loss.dtype != self._torch.float64:
            raise self._refused(
                f"has a loss of shape {tuple(loss.shape)} and type {loss.dtype} on two rows; it"
                " must be one number of torch.float64 a row (reduction='none')"
            )

    def _refused(self, why: str) -> UsageError:
        return UsageError(f"the torch module of {self._named} {why}")

    @contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Leave the other cores to other workers."""
        threads = self._torch.get_num_threads()
        self._torch.set_num_threads(1)
        try:
            yield
        finally:
            self._torch.set_num_threads(threads)


def _torch() -> Any:
    """Return torch, which only users of such a model need."""
    try:
        import torch
    except ImportError:
        raise UsageError(
            "a torch model needs torch, which is not installed; install erasurehead[torch]"
        ) from None
    return torch


def _function(build: str) -> Build:
    if build not in BUILDS:
        raise UsageError(
            f"there is no function {build} here that builds a torch module{nearest(build, BUILDS)};"
            f" give --plugin {build}, or --plugin with a module that marks it with @torch_build"
        )
    return BUILDS[build]


def _row_shape(shape: str | None, n_columns: int) -> tuple[int, ...]:
    """Return the shape of a row that a text gives.

    Raises
    ------
    UsageError: it is none, or has not as many entries as there are columns.
    """
    if shape is None:
        return (n_columns,)
    found = tuple(map(int, shape.split("x"))) if SHAPE.fullmatch(shape) else ()
    if math.prod(found) != n_columns or not found:
        raise UsageError(
            f"shape={shape} of a torch model is no shape of {n_columns} entries, as rows have; give"
            " the sizes of the axes as in shape=28x28, or leave it out"
        )
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no reason given"
