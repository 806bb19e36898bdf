"""From settings and a store to the plan of a run: what does not fit is refused here."""

from __future__ import annotations

import secrets

from erasurehead.datasets.store import Store
from erasurehead.errors import DataError
from erasurehead.models.objectives import OBJECTIVES, Objective
from erasurehead.schemes.scheme import Scheme
from erasurehead.settings.tree import RunSettings
from erasurehead.straggling import DELAYS
from erasurehead_master.machine.plan import RunPlan, build_scheme, deal_rows


def make_plan(
    settings: RunSettings, store: Store, data_reference: str | None, run: str | None = None
) -> RunPlan:
    """Check the settings against the store and each other, and fix the run.

    `run` is the id of the run that is resumed; a fresh one gets a new id.

    Raises
    ------
    UsageError: an impossible combination, in one sentence that names both sides.
    DataError: the store is damaged, or its labels do not suit the objective.
    """
    store.check_rows()
    scheme = Scheme.parse(settings.scheme)
    built = build_scheme(settings)
    DELAYS.build(settings.delay, settings.workers, settings.seed)
    rows = store.manifest.rows
    bytes_per_row = max(1, 12 * store.manifest.nnz // max(rows, 1) + 16)
    return RunPlan(
        run=run or secrets.token_hex(6),
        settings=settings,
        scheme=scheme,
        code=built.code,
        decoder=built.decoder,
        stop=built.stop,
        estimate=built.estimate,
        objective=_objective(settings.objective or store.manifest.task, store),
        columns=store.manifest.columns,
        training_rows=rows,
        digest=store.digest,
        meaning=store.manifest.meaning,
        ranges=deal_rows(rows, built.code.n_tasks, settings.seed),
        data_reference=data_reference,
        chunk_rows=max(1, settings.wire.chunk_bytes // bytes_per_row),
        placement=built.placement,
        bears_rounding=built.bears_rounding,
    )


def _objective(name: str, store: Store) -> Objective:
    """Return the objective, unless the store's labels mean something else."""
    objective = OBJECTIVES.build(name)
    for labels in (store.train.labels, store.test.labels):
        if not objective.suits(labels):
            raise DataError(
                f"the labels of {store.path}, prepared for {store.manifest.task}, do not suit the"
                f" objective {name}, which needs {objective.labels}; leave --objective out or"
                " prepare the data for it"
            )
    return objective
