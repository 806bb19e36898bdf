"""A fresh master goes on from a checkpoint."""

from __future__ import annotations

from erasurehead_master.keep.checkpoint import Snapshot
from erasurehead_master.machine.machine import Master
from erasurehead_master.run.descent import Descent
from erasurehead_master.run.finishing import Finishing


def restore(machine: Master, descent: Descent, finishing: Finishing, snapshot: Snapshot) -> None:
    """Go on from a checkpoint, with its tasks where they were placed last; an elastic run goes on
    with the code that it had come to. What belongs to a code of another size is forgotten, and so
    is which workers were set aside: those that still send wrong results will be again.

    Raises
    ------
    DataError: it is of another model size or method.
    """
    code = snapshot.part("code")
    size = int(code.get("n_workers", 0))
    if size not in (0, machine.plan.code.n_workers) and machine.plan.settings.refit.elastic:
        plan = machine.plan.resized(size)
        machine.go_on_with(plan, snapshot.round)
        descent.rebuild(plan)
    same_code = size == machine.plan.code.n_workers
    if same_code and "probabilities" in code and machine.plan.coding.places_by is not None:
        plan = machine.plan.placed_by(code["probabilities"])
        machine.go_on_with(plan, int(code["placed_round"]))
        descent.rebuild(plan)
    descent.load_state(snapshot.part, same_code=same_code)
    if same_code:
        machine.training.rounds.stop.load_state(snapshot.part("stop"))
    finishing.load_state(snapshot.part("course"), snapshot.part("best"))
    if finishing.met is not None:
        machine.enough = finishing.met.reason
