"""What all schemes of a search are judged by: a cluster, rows to train on, and a target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from erasurehead.datasets.store import Store
from erasurehead.settings.tree import RunSettings
from erasurehead_simulator.planner.target import Target

TEST_ROWS = 5_000


@dataclass(frozen=True)
class Problem:
    """What is asked of a scheme.

    Attributes
    ----------
    settings: everything but the scheme; `rounds` is the most that a trial may take.
    pass_s: seconds in which one worker would compute the gradient of all rows.
    sample_rows: training rows that trials train on.
    """

    settings: RunSettings
    target: Target
    pass_s: float
    sample_rows: int

    @cached_property
    def store(self) -> Store:
        """The sampled rows; each process maps the store itself."""
        return sample(Store.open(self.settings.problem.store), self.sample_rows, TEST_ROWS)

    def __reduce__(self) -> tuple[type[Problem], tuple[object, ...]]:
        """Take no rows to another process."""
        return Problem, (self.settings, self.target, self.pass_s, self.sample_rows)


def sample(store: Store, n_rows: int, n_test_rows: int) -> Store:
    """Return the first rows of a store: a fair sample, as prepared rows are in random order."""
    train = store.train.rows(0, min(n_rows, store.manifest.rows))
    test = store.test.rows(0, min(n_test_rows, store.manifest.test_rows))
    manifest = replace(
        store.manifest,
        rows=len(train.labels),
        nnz=int(train.indptr[-1]),
        test_rows=len(test.labels),
        test_nnz=int(test.indptr[-1]),
    )
    return Store(store.path, manifest, train, test)
