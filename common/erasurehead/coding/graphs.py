"""Random regular graphs."""

from __future__ import annotations

from collections import deque

import numpy as np

from erasurehead.arrays import FloatArray, IntArray
from erasurehead.errors import UsageError

ATTEMPTS = 1000


def random_regular_graph(n_vertices: int, degree: int, rng: np.random.Generator) -> IntArray:
    """Return the edges of a random connected simple graph, shape (n * degree / 2, 2).

    Stubs are paired at random; loops and double edges are exchanged with random other edges.

    Raises
    ------
    UsageError: there is no such graph.
    """
    if not 1 <= degree < n_vertices or (n_vertices * degree) % 2:
        raise UsageError(
            f"no simple graph has {n_vertices} vertices of degree {degree}; the degree must be 1 to"
            f" {n_vertices - 1} and their product even"
        )
    if 4 * degree > 3 * (n_vertices - 1):
        return _complement_of_random(n_vertices, n_vertices - 1 - degree, rng)
    for _ in range(ATTEMPTS):
        stubs = rng.permutation(np.repeat(np.arange(n_vertices, dtype=np.int64), degree))
        edges = stubs.reshape(-1, 2)
        if _make_simple(edges, rng) and (degree == 1 or _connected(edges, n_vertices)):
            return edges
    raise UsageError(
        f"no connected graph with {n_vertices} vertices of degree {degree} was found in {ATTEMPTS}"
        " attempts; use a degree of 3 or more"
    )


def _complement_of_random(n_vertices: int, degree: int, rng: np.random.Generator) -> IntArray:
    """Return all edges but those of a random graph: pairing stubs hardly ever gives a dense one."""
    kept = ~np.eye(n_vertices, dtype=bool)
    if degree:
        kept &= adjacency(random_regular_graph(n_vertices, degree, rng), n_vertices) == 0.0
    return np.argwhere(np.triu(kept)).astype(np.int64)


def adjacency(edges: IntArray, n_vertices: int) -> FloatArray:
    """Return the dense adjacency matrix, shape (n, n), of edges of shape (edges, 2)."""
    matrix = np.zeros((n_vertices, n_vertices))
    matrix[edges[:, 0], edges[:, 1]] = matrix[edges[:, 1], edges[:, 0]] = 1.0
    return matrix


def second_eigenvalue(edges: IntArray, n_vertices: int) -> float:
    """Return the second largest absolute eigenvalue of the adjacency matrix; `edges` as there."""
    return float(np.sort(np.abs(np.linalg.eigvalsh(adjacency(edges, n_vertices))))[-2])


def _make_simple(edges: IntArray, rng: np.random.Generator) -> bool:
    """Exchange ends of edges in place until there is no loop and no double edge; False if stuck."""

    def key(u: int, v: int) -> tuple[int, int]:
        return (u, v) if u < v else (v, u)

    counts: dict[tuple[int, int], int] = {}

    def is_bad(edge: int) -> bool:
        u, v = edges[edge].tolist()
        return bool(u == v or counts[key(u, v)] > 1)

    for u, v in edges.tolist():
        counts[key(u, v)] = counts.get(key(u, v), 0) + 1
    # An exchange makes no new ones, so those that are bad at first are looked at in turn.
    bad_edges = deque(filter(is_bad, range(len(edges))))
    for _ in range(100 * len(edges)):
        while bad_edges and not is_bad(bad_edges[0]):
            bad_edges.popleft()
        if not bad_edges:
            return True
        bad = bad_edges[0]
        other = int(rng.integers(len(edges)))
        (a, b), (c, d) = edges[bad].tolist(), edges[other].tolist()
        fresh = other != bad and a != c and b != d and key(a, c) != key(b, d)
        if fresh and not counts.get(key(a, c)) and not counts.get(key(b, d)):
            for edge in (key(a, b), key(c, d)):
                counts[edge] -= 1
            for edge in (key(a, c), key(b, d)):
                counts[edge] = 1
            edges[bad], edges[other] = (a, c), (b, d)
    return False


def _connected(edges: IntArray, n_vertices: int) -> bool:
    neighbours: list[list[int]] = [[] for _ in range(n_vertices)]
    for u, v in edges.tolist():
        neighbours[u].append(v)
        neighbours[v].append(u)
    seen, frontier = {0}, [0]
    while frontier:
        for v in neighbours[frontier.pop()]:
            if v not in seen:
                seen.add(v)
                frontier.append(v)
    return len(seen) == n_vertices
