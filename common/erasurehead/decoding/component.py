"""Component decoding: optimal weights for graph codes in linear time."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.decoding.base import EXACT_ERROR, DecoderContext
from erasurehead.decoding.holding import HoldingDecoder
from erasurehead.errors import UsageError


class ComponentDecoder(HoldingDecoder):
    """Least squares for codes whose slots are edges between two tasks.

    arXiv 2006.09638, Section 4: in each connected component of the surviving graph, alpha = 1 when
    it has an odd cycle; in a bipartite one with sides L and R, alpha = 2|R|/(|L|+|R|) on L and
    2|L|/(|L|+|R|) on R, which leaves (|L|-|R|)^2/(|L|+|R|). Union-find with parities keeps the
    error up to date; the weights follow along a spanning tree.

    Parameters
    ----------
    code: every symbol is the plain sum of two tasks.
    context: not used.

    Raises
    ------
    UsageError: another code.
    """

    def __init__(self, code: GradientCode, context: DecoderContext) -> None:
        two_ones = np.all(np.diff(code.matrix.indptr) == 2) and np.all(code.matrix.data == 1.0)
        if not two_ones:
            raise UsageError(
                f"decoder 'component' needs workers that each send the sum of two tasks, unlike"
                f" code '{code.name}'; use it with code graph, or use least-squares"
            )
        super().__init__(code)

    def begin(self) -> None:
        """Start a round with no arrivals."""
        super().begin()
        n = self.code.n_tasks
        self._parent = list(range(n))
        self._parity = [0] * n
        """Whether a vertex is on the other side than its parent."""
        self._sides = [[1, 0] for _ in range(n)]
        self._odd = [False] * n
        self._error_sum = float(n)

    def arrive(self, symbol: int) -> float | None:
        """Take one edge; its weight is known at the end."""
        u, v = self._tasks[symbol]
        self._join(u, v)
        return super().arrive(symbol)

    @property
    def exact(self) -> bool:
        """True when every component has an odd cycle or two sides of equal size."""
        return self._n_uncovered == 0 and self.error() <= EXACT_ERROR

    def error(self) -> float:
        """Return the least decode error of the arrivals so far."""
        return max(0.0, self._error_sum) / self.code.n_tasks

    def weights(self, arrived: list[int]) -> FloatArray:
        """Return weights on a spanning forest, plus one odd edge a component that has one."""
        neighbours: list[list[tuple[int, int]]] = [[] for _ in range(self.code.n_tasks)]
        for place, symbol in enumerate(arrived):
            u, v = self._tasks[symbol]
            neighbours[u].append((v, place))
            neighbours[v].append((u, place))
        weights = np.zeros(len(arrived))
        seen = bytearray(self.code.n_tasks)
        for root in range(self.code.n_tasks):
            if not seen[root] and neighbours[root]:
                self._component(root, neighbours, seen, weights)
        return weights

    def _component(
        self,
        root: int,
        neighbours: list[list[tuple[int, int]]],
        seen: bytearray,
        weights: FloatArray,
    ) -> None:
        """Set the weights of the edges of one component."""
        depth = {root: 0}
        tree: list[tuple[int, int, int]] = []
        odd_edge: tuple[int, int, int] | None = None
        order = [root]
        seen[root] = 1
        for u in order:
            for v, place in neighbours[u]:
                if not seen[v]:
                    seen[v] = 1
                    depth[v] = depth[u] + 1
                    tree.append((v, u, place))
                    order.append(v)
                elif odd_edge is None and (depth[u] - depth[v]) % 2 == 0:
                    odd_edge = (u, v, place)
        counts = [sum(1 for d in depth.values() if d % 2 == side) for side in (0, 1)]
        if odd_edge is None:
            wanted = {v: 2.0 * counts[1 - depth[v] % 2] / len(order) for v in order}
        else:
            # Leaves first, a tree edge gets what its lower end still wants; what is then left over
            # at the root is an alternating sum, which twice the odd edge's weight must be.
            wanted = dict.fromkeys(order, 1.0)
            left_over = counts[0] - counts[1]
            u, v, place = odd_edge
            weight = 0.5 * left_over * (1 if depth[u] % 2 == 0 else -1)
            weights[place] = weight
            wanted[u] -= weight
            wanted[v] -= weight
        for lower, upper, place in reversed(tree):
            weights[place] = wanted[lower]
            wanted[upper] -= wanted[lower]

    def _find(self, vertex: int) -> tuple[int, int]:
        """Return the root of a vertex and on which of its sides it is, shortening the path."""
        path = []
        while self._parent[vertex] != vertex:
            path.append(vertex)
            vertex = self._parent[vertex]
        side = 0
        for below in reversed(path):
            side ^= self._parity[below]
            self._parity[below] = side
            self._parent[below] = vertex
        return vertex, side

    def _join(self, u: int, v: int) -> None:
        (a, side_u), (b, side_v) = self._find(u), self._find(v)
        self._error_sum -= self._cost(a)
        if a == b:
            self._odd[a] |= side_u == side_v
        else:
            self._error_sum -= self._cost(b)
            if sum(self._sides[a]) < sum(self._sides[b]):
                a, b = b, a
            flipped = 1 ^ side_u ^ side_v
            self._parent[b], self._parity[b] = a, flipped
            self._sides[a][0] += self._sides[b][flipped]
            self._sides[a][1] += self._sides[b][1 - flipped]
            self._odd[a] |= self._odd[b]
        self._error_sum += self._cost(a)

    def _cost(self, root: int) -> float:
        left, right = self._sides[root]
        return 0.0 if self._odd[root] else (left - right) ** 2 / (left + right)
