"""Neural networks under stragglers: how soon do coded rounds reach an accuracy on test rows?

    python benchmarks/torch_networks.py digits [--seconds 12] [--seeds 1,2,3] [--page PAGE]
    python benchmarks/torch_networks.py covertype covtype.data [--seconds 12] [--seeds 1,2,3] ...

A convolutional network on scikit-learn's digits, and a network of two layers on Covertype's seven
classes, from the raw file. Worker processes, delays that are really slept for, the wall clock from
the first round's opening; every scheme has the same delays in the same seed. The table has medians
over the seeds; with --page it goes between the marks of its section of that page.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from marked_section import table, write_section
from sklearn.datasets import load_digits

import erasurehead as eh
from erasurehead.arrays import FloatArray

WORKERS = 12
DELAY = "exponential:mean_s=0.2"
SCHEMES = ("uncoded", "uncoded:r=9", "egc:c=3", "agc:c=3,r=4")
MOST_TEST_ROWS = 5_000
"""The master rates models while it waits, and must not be kept from closing rounds."""

NUMERIC = 10
"""Columns of Covertype that are no ones and zeros; they come first."""


def convolutional() -> Any:
    """Return a network for images of 1 x 8 x 8."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def two_layers(n_columns: int) -> Any:
    """Return a network of one hidden layer of 64."""
    from torch import nn

    return nn.Sequential(nn.Linear(n_columns, 64), nn.ReLU(), nn.Linear(64, 7))


def cross_entropy(outputs: Any, labels: Any) -> Any:
    """Return the loss of each row."""
    from torch import nn

    return nn.functional.cross_entropy(outputs, labels.long(), reduction="none")


@dataclass(frozen=True)
class Task:
    """What is learnt, and how.

    Attributes
    ----------
    rows: returns all rows and their classes, in random order.
    marks: accuracies on the test rows that are timed.
    """

    network: Callable[..., Any]
    shape: tuple[int, ...] | None
    rows: Callable[[Path | None], tuple[FloatArray, FloatArray]]
    batch: float
    step: float
    marks: tuple[float, ...]


def digits(file: Path | None) -> tuple[FloatArray, FloatArray]:
    """Return the digits, from 0 to 1."""
    X, y = load_digits(return_X_y=True)
    return shuffled(X / 16.0, y)


def covertype(file: Path | None) -> tuple[FloatArray, FloatArray]:
    """Return Covertype, its numbers standardised."""
    if file is None:
        raise eh.UsageError("name the file covtype.data after 'covertype'")
    whole = pd.read_csv(file, header=None, dtype=np.float32).to_numpy(copy=True)
    X, y = whole[:, :-1], whole[:, -1]
    X[:, :NUMERIC] -= X[:, :NUMERIC].mean(axis=0)
    X[:, :NUMERIC] /= X[:, :NUMERIC].std(axis=0)
    return shuffled(X, y)


def shuffled(X: Any, y: Any) -> tuple[FloatArray, FloatArray]:
    """Return rows in a random order that is always the same."""
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order]


TASKS = {
    "digits": Task(convolutional, (1, 8, 8), digits, 0.2, 0.01, (0.8, 0.9, 0.95)),
    "covertype": Task(two_layers, None, covertype, 0.01, 0.01, (0.68, 0.72, 0.75)),
}


@dataclass(frozen=True)
class Course:
    """How a run went: seconds until each mark (infinite: never), rounds, seconds, last accuracy."""

    reached_s: tuple[float, ...]
    rounds: int
    seconds: float
    accuracy: float


def run(task: Task, X: FloatArray, y: FloatArray, scheme: str, seed: int, seconds: float) -> Course:
    """Train with worker processes for so many seconds."""
    n_test = min(len(y) // 5, MOST_TEST_ROWS)
    trained = eh.train(
        X[n_test:],
        y[n_test:],
        test=(X[:n_test], y[:n_test]),
        model=eh.torch_model(task.network, cross_entropy, shape=task.shape),
        scheme=scheme,
        workers=WORKERS,
        delay=DELAY,
        optimizer="adam",
        step=task.step,
        batch=task.batch,
        l2=0.0,
        rounds=100_000,
        until=f"time:{seconds:g}s",
        evaluate_every_rounds=2,
        seed=seed,
        progress=False,
    )
    rated = [(r.closed_s, r.metrics["accuracy"]) for r in trained.history if r.metrics]
    reached = [
        min((at for at, accuracy in rated if accuracy >= mark), default=math.inf)
        for mark in task.marks
    ]
    last = trained.history[-1]
    return Course(tuple(reached), last.round, last.closed_s, rated[-1][1])


def row(scheme: str, courses: Sequence[Course]) -> list[str]:
    """Return a scheme's line of the table."""
    marks = [median(times) for times in zip(*(c.reached_s for c in courses), strict=True)]
    return [
        f"`{scheme}`",
        f"{median(c.seconds / c.rounds for c in courses):.3f} s",
        *(f"{at:.1f} s" if math.isfinite(at) else "not reached" for at in marks),
        f"{median(c.accuracy for c in courses):.3f}",
        f"{median(c.rounds for c in courses):.0f}",
    ]


def numbers(text: str) -> Sequence[int]:
    """Read numbers between commas."""
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each run")
    parser.add_argument("--seeds", type=numbers, default=[1, 2, 3])
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    task = TASKS[given.task]
    X, y = task.rows(given.file)
    lines = []
    for scheme in SCHEMES:
        courses = [run(task, X, y, scheme, seed, given.seconds) for seed in given.seeds]
        lines.append(row(scheme, courses))
        print(*lines[-1], flush=True)
    marks = [f"to {mark:.0%}" for mark in task.marks]
    after = f"after {given.seconds:g} s"
    text = table(["scheme", "a round", *marks, after, "rounds"], lines)
    print(text)
    if given.page is not None:
        write_section(given.page, f"torch-{given.task}", text)


if __name__ == "__main__":
    main()
