"""Block designs from projective planes: any two slots share exactly one task."""

from __future__ import annotations

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode, code_from_rows
from erasurehead.coding.options import same_as_workers
from erasurehead.coding.suitable import decoded_by
from erasurehead.errors import UsageError

DIFFERENCE_SETS: dict[int, tuple[int, ...]] = {
    7: (0, 1, 3),
    13: (0, 1, 3, 9),
    21: (0, 1, 4, 14, 16),
    31: (0, 1, 3, 8, 12, 18),
    57: (0, 1, 3, 13, 32, 36, 43, 52),
    73: (0, 1, 3, 7, 15, 31, 36, 54, 63),
    91: (0, 1, 3, 9, 27, 49, 56, 61, 77, 81),
    133: (0, 1, 3, 12, 20, 34, 38, 81, 88, 94, 104, 109),
}
"""Perfect difference sets: every non-zero residue of the key is a difference exactly once."""


@decoded_by("one-step:scale=optimal")
def design(
    n_workers: int,
    n_tasks: int | None,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
) -> GradientCode:
    """Return the incidence matrix of the projective plane with k = q^2 + q + 1 points.

    arXiv 1904.13373. A slot holds l = q + 1 tasks, a task is on l slots, two slots share one task
    (the Fano plane at k = 7). Any f arrivals are worth the same: one-step decoding with the weight
    l/(l + f - 1) is optimal and leaves ||alpha - 1||^2 = n - f l^2/(l + f - 1), the least possible
    in the worst case.

    Raises
    ------
    UsageError: no plane of that size is known here, or n is not k.
    """
    n_tasks = same_as_workers("design", n_workers, n_tasks)
    if n_workers not in DIFFERENCE_SETS:
        near = sorted(DIFFERENCE_SETS, key=lambda size: abs(size - n_workers))[:2]
        raise UsageError(
            f"code 'design' knows no projective plane of {n_workers} points, one for each worker;"
            f" the nearest sizes it knows are {min(near)} and {max(near)}"
        )
    base = np.array(DIFFERENCE_SETS[n_workers])
    rows = [(np.sort((base + slot) % n_tasks), np.ones(len(base))) for slot in range(n_workers)]
    return code_from_rows("design", rows, n_tasks, n_workers=n_workers, shared_tasks=1)
