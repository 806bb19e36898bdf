"""Codes from regular graphs: slots as vertices (expander), and slots as edges."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.graphs import adjacency, random_regular_graph, second_eigenvalue
from erasurehead.coding.options import same_as_workers
from erasurehead.coding.suitable import decoded_by
from erasurehead.errors import UsageError

CANDIDATES = 8
"""Random graphs of which the best expander is taken."""


def expander(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    d: int,
) -> GradientCode:
    """Return (1/d) times the adjacency matrix of a d-regular graph on k = n vertices.

    arXiv 1707.03858, Section 5. With weights k/(k-s) after s stragglers, ||alpha - 1|| is at most
    (lambda/d) sqrt(k s/(k-s)), whichever they are, lambda the second largest absolute eigenvalue;
    of a few random graphs the one with the smallest lambda is taken.

    Parameters
    ----------
    d: degree, the tasks per slot; d k must be even.

    Raises
    ------
    UsageError: no simple graph of k vertices has this degree, or n is not k.
    """
    n_tasks = same_as_workers("expander", n_workers, n_tasks)
    fitting = [degree for degree in range(1, n_workers) if degree * n_workers % 2 == 0]
    if not fitting:
        raise UsageError("code 'expander' does not exist for 1 worker; use at least 2")
    if d not in fitting:
        nearest = min(fitting, key=lambda degree: abs(degree - d))
        raise UsageError(
            f"code 'expander' has no graph in which each of {n_workers} workers has d={d}"
            f" neighbours; the nearest d that fits is {nearest}"
        )
    graphs = [random_regular_graph(n_tasks, d, rng) for _ in range(CANDIDATES)]
    edges = min(graphs, key=lambda graph: second_eigenvalue(graph, n_tasks))
    neighbours = [np.flatnonzero(row) for row in adjacency(edges, n_tasks)]
    rows = [(tasks, np.full(d, 1.0 / d)) for tasks in neighbours]
    return code_from_rows("expander", rows, n_tasks, n_workers=n_workers, follows_graph=True)


@decoded_by("component")
def graph(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    *,
    d: int,
) -> GradientCode:
    """Return the graph code: tasks are the vertices of a d-regular graph, slots its edges.

    arXiv 2006.09638, Section 4. Each slot holds the two tasks its edge joins, each task is on d
    slots, n = 2k/d. With optimal decoding and stragglers of probability p the expected decode error
    is p^(d - o(d)); the `component` decoder finds it in linear time.

    Parameters
    ----------
    d: degree, the copies of each task.

    Raises
    ------
    UsageError: 2k/d is not a whole number above d, or not n.
    """
    fitting = [
        x for x in range(2, 2 * n_workers) if 2 * n_workers % x == 0 and 2 * n_workers > x * x
    ]
    if not fitting:
        raise UsageError(f"{n_workers} workers are too few for code 'graph'; use at least 3")
    if d not in fitting:
        raise UsageError(
            f"d={d} copies on {n_workers} workers do not make a regular graph with 2k/d tasks;"
            f" the nearest d that fits is {min(fitting, key=lambda x: abs(x - d))}"
        )
    n_vertices = 2 * n_workers // d
    if n_tasks is not None and n_tasks != n_vertices:
        raise UsageError(
            f"code 'graph' with d={d} has {n_vertices} tasks for {n_workers} workers, not"
            f" {n_tasks}; leave tasks out or make them {n_vertices}"
        )
    edges = np.sort(random_regular_graph(n_vertices, d, rng), axis=1)
    rows = [(edge, np.ones(2)) for edge in edges]
    return code_from_rows("graph", rows, n_vertices, n_workers=n_workers)
