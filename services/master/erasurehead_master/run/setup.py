"""From a plan to the things that do its arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from scipy.sparse import csr_array

from erasurehead.datasets.store import Store
from erasurehead.errors import UsageError
from erasurehead.estimating.sums import InParts, at_once
from erasurehead.models.rows import pieces
from erasurehead.optimizing.curvature import automatic_step, largest_eigenvalue
from erasurehead.optimizing.optimizers import OPTIMIZERS
from erasurehead.optimizing.steps import Constant, Schedule, build_schedule
from erasurehead.rows import CsrRows
from erasurehead_master.machine.plan import RunPlan
from erasurehead_master.run.learner import Learner, make_estimate

CURVATURE_NONZEROS = 1 << 22
"""Non-zeros looked at for the automatic step. Prepared rows are in random order, so the first
rows are a fair sample, and the estimate errs on the side of a smaller step."""

CURVATURE_CHUNK_ROWS = 1 << 14


def make_learner(plan: RunPlan, store: Store, in_parts: InParts = at_once) -> Learner:
    """Build optimiser and gradient estimate of a run; `in_parts` is how long sums are formed."""
    settings = plan.settings
    schedule = make_schedule(plan, store.train)
    optimizer = OPTIMIZERS.build(
        settings.descent.optimizer, plan.columns, schedule, settings.problem.l2
    )
    return Learner(optimizer, make_estimate(plan), plan.training_rows, in_parts)


def make_schedule(plan: RunPlan, rows: CsrRows) -> Schedule:
    """Return the schedule that is asked for; `auto` is a constant 1 / curvature."""
    settings = plan.settings
    if settings.descent.step != "auto":
        return build_schedule(settings.descent.step)
    curvature = plan.model.curvature
    if curvature is None:
        raise UsageError(
            f"the curvature of {plan.model.spec} has no bound, so --step auto has nothing to go by;"
            " give a step size"
        )
    n_rows = len(rows.labels)
    per_row = max(1, int(rows.indptr[-1]) // max(n_rows, 1))
    looked_at = min(n_rows, max(1, CURVATURE_NONZEROS // per_row))

    sample = rows.rows(0, looked_at)

    def chunks() -> Iterator[csr_array]:
        return (piece.matrix for piece in pieces(sample, CURVATURE_CHUNK_ROWS))

    eigenvalue = largest_eigenvalue(chunks, plan.columns, seed=settings.run.seed, iterations=30)
    return Constant(eta=automatic_step(curvature * eigenvalue, settings.problem.l2))
