"""What is learnt: parameters as one flat vector, rows in, sums out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from erasurehead.arrays import Array, FloatArray, IntArray
from erasurehead.models.metrics import Metric
from erasurehead.models.rows import Piece
from erasurehead.registry import Spec
from erasurehead.rows import Target


class Model(ABC):
    """Outputs as a function of a row and of the parameters, and a loss of outputs and label.

    A run minimises f(theta) = (1/W) sum_rows w loss(outputs(row, theta), label) + penalty(theta)
    for what rows count for, w (one each, unless a store or a class says otherwise), and their sum
    W. Workers compute sums over their rows; the master divides, and knows nothing of a model but
    the number of its parameters.

    A subclass is a factory of the registry: it takes (n_columns, labels) and, as keyword-only
    parameters, the options that a user may write. The labels are the training rows' where they are
    at hand, at the master, and None at a worker: an option that they decide if a user leaves it
    out (the number of classes) must be in `spec`, from which a worker makes the same model.

    Parameters
    ----------
    n_columns: columns of the store.
    n_parameters: length of the vector of parameters.

    Attributes
    ----------
    name: the registry's.
    target: the labels it is for; it is the default for a store whose labels are of this kind, if
        no model comes before it in the registry.
    metrics: what is reported on test rows; the first is what runs are compared by.
    spec: its name and options, as ASSIGN and model files carry it.
    """

    name: ClassVar[str]
    target: ClassVar[Target]
    metrics: tuple[Metric, ...]

    lowest_loss: ClassVar[float] = -math.inf
    """No row has a smaller loss, whatever the parameters; a worker that reports one is wrong."""

    by_column: ClassVar[bool] = False
    """Whether a worker's rows may be cut down to the columns that they touch, and renumbered; its
    parameters are then those of `coordinates`. Else rows have all columns, and every worker has
    all parameters."""

    takes_offsets: ClassVar[bool] = False
    """Whether outputs have a row's offset (`Piece.offsets`) added; a store with offsets is refused
    otherwise."""

    def __init__(self, n_columns: int, n_parameters: int) -> None:
        self.spec = Spec(self.name)
        self.n_columns = n_columns
        self.n_parameters = n_parameters

    @property
    def unpenalised(self) -> IntArray:
        """Parameters that a penalty leaves alone (intercepts), ascending, shape (spared,); none by
        default."""
        return np.empty(0, dtype=np.int64)

    def count_rows(self, labels: FloatArray, weights: FloatArray) -> None:  # noqa: B027
        """Be told what training rows count for where that is not one each, before anything else.

        Both have the shape (rows,); the labels are ones that suit the model. What it has found
        from the labels (balanced class weights) is then to be as if rows were repeated so often.
        """

    def row_weights(self, labels: FloatArray) -> FloatArray | None:
        """Return what rows count for by their labels alone, shape (rows,); None: one each."""
        return None

    def start(self, rng: np.random.Generator) -> FloatArray:
        """Return the parameters of the first round, shape (n_parameters,); zeros by default.

        `rng` is for models that must not start from zeros.
        """
        return np.zeros(self.n_parameters)

    def coordinates(self, columns: Array | None) -> Array | None:
        """Return the parameters that rows on these columns need, ascending (None: all of them).

        `columns`, shape (columns,), are ascending, too, and None stands for all. `theta` and
        gradients of such rows hold the values of these parameters, in this order.
        """
        return None

    @abstractmethod
    def outputs(self, rows: Piece, theta: FloatArray) -> FloatArray:
        """Return what the model says of rows, shape (rows,) or (rows, outputs of a row)."""

    @abstractmethod
    def losses(self, outputs: FloatArray, labels: FloatArray) -> FloatArray:
        """Return the loss of each row, shape (rows,)."""

    @abstractmethod
    def sums(
        self, rows: Piece, theta: FloatArray, weightings: Sequence[FloatArray | None]
    ) -> list[tuple[float, FloatArray]]:
        """Return a sum of losses and a sum of gradients for each weighting of the rows.

        All weightings at once, so that what does not depend on them is computed once; sums are
        returned rather than added to something, because most workers have only one piece.

        Parameters
        ----------
        theta: the parameters of the rows' columns (`coordinates`), shape (parameters,), float64.
        weightings: what rows count for, of shape (rows,) each; None: one.

        Returns
        -------
        One pair a weighting: sum of weight * loss, and sum of weight * gradient in `theta`, an
        array of its own of shape (parameters,).
        """

    @property
    def bounded(self) -> bool:
        """Whether second derivatives of the loss have a bound, the matrix C of the next methods."""
        return False

    @property
    def measured(self) -> bool:
        """Whether `curvature_diagonal` tells how much parameters differ.

        It may do so where there is no bound: as at small parameters, for instance.
        """
        return self.bounded

    def curvature_times(
        self, rows: Piece, direction: FloatArray, weights: FloatArray | None
    ) -> FloatArray:
        """Return C d for the direction d, both of shape (n_parameters,), if `bounded`.

        C - H is positive semidefinite for the Hessian H of the sum of these rows' losses, whatever
        the parameters. The rows have all columns.

        Parameters
        ----------
        weights: what rows count for in the sum, shape (rows,); None: one each.

        Raises
        ------
        NotImplementedError: the model is not `bounded`.
        """
        raise NotImplementedError(f"{self.spec} has no bound of its curvature")

    def curvature_diagonal(self, column_squares: FloatArray, total: float) -> FloatArray:
        """Return the diagonal of C, shape (n_parameters,), if `measured`.

        Parameters
        ----------
        column_squares: the sum of the squares of each column's entries, shape (n_columns,), each
            times what its row counts for.
        total: what the rows count for together.

        Raises
        ------
        NotImplementedError: the model is not `measured`.
        """
        raise NotImplementedError(f"{self.spec} has no bound of its curvature")

    def probabilities(self, outputs: FloatArray) -> FloatArray | None:
        """Return what outputs say of each class, shape (rows, classes); None: nothing."""
        return None

    def predictions(self, outputs: FloatArray, classes: Sequence[str] = ()) -> dict[str, Array]:
        """Return the columns of a table of predictions, shape (rows,) each, by their headings.

        For numbers, what the model puts out, under a number if a row has several. For classes, the
        name of the one that is predicted, then the margin of each (of the second alone, if there
        are two) and what `probabilities` says.

        Parameters
        ----------
        classes: what classes are called, in the order of their labels; by default as the labels.
        """
        if self.target == "numbers":
            if outputs.ndim == 1:
                return {"prediction": outputs}
            return {f"prediction_{i}": column for i, column in enumerate(outputs.T)}
        if outputs.ndim == 1:
            names = list(classes or ("-1", "+1"))
            codes, margins = (outputs > 0).astype(np.int64), {names[1]: outputs}
        else:
            known = len(classes) == outputs.shape[1]
            names = list(classes if known else map(str, range(outputs.shape[1])))
            codes, margins = outputs.argmax(axis=1), dict(zip(names, outputs.T, strict=True))
        columns: dict[str, Array] = {"class": np.array(names)[codes]}
        columns |= {f"margin of {name}": margin for name, margin in margins.items()}
        chances = self.probabilities(outputs)
        if chances is not None:
            told = zip(names, chances.T, strict=True)
            columns |= {f"probability of {name}": chance for name, chance in told}
        return columns

    def refusal(self, labels: FloatArray) -> str | None:
        """Return why these labels, shape (rows,), do not suit the model; None: they do.

        A sentence that begins with "it" and stands for the model.
        """
        return None if np.isfinite(labels).all() else "it needs finite numbers"

    def lacks(self, labels: FloatArray, classes: Sequence[str] = ()) -> str | None:
        """Return what no training row is, so that nothing holds an intercept back; None: one is.

        No penalty holds an intercept. Where all rows push it the same way, the objective falls for
        ever, and so would the time of a run that looks for its minimum.

        Parameters
        ----------
        labels: of the training rows that count, shape (rows,).
        classes: what classes are called, in the order of their labels; by default as the labels.

        Returns
        -------
        The end of a sentence that begins with "no training row".
        """
        return None
