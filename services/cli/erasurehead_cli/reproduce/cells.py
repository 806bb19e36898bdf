"""Running one cell, once: a run's directory, and beside it what only we measure."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from erasurehead.arrays import FloatArray
from erasurehead.errors import (
    EXIT_DIVERGED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    DataError,
    UsageError,
    reason_of,
)
from erasurehead.process.durable import replace_file
from erasurehead.records import Observer, RunSummary
from erasurehead.runs import Claim, Run
from erasurehead.runs.layout import CONFIG
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.console import recorded_run
from erasurehead_cli.reproduce.cpu_quotas import Confinement, Quota, QuotaGroups
from erasurehead_cli.reproduce.grid import (
    EVALUATE_EVERY_ROUNDS,
    MEAN_DELAY_S,
    N_WORKERS,
    Cell,
    slow_slots,
)
from erasurehead_cli.reproduce.machine import CpuMeter
from erasurehead_cli.reproduce.objective import model_after, training_objective
from erasurehead_local.train import plan_here, run_planned
from erasurehead_master.keep.resume import is_cut_short
from erasurehead_master.run.planning import PlannedRun
from erasurehead_simulator.virtual.ideal import ideal_round_s

EXTRA = "cell.json"
"""Written last: a cell with this file is finished."""

FAST, SLOW = Quota(1000, 25_000), Quota(1000, 150_000)
SILENCE_LIMIT_S = 60.0
"""Under a small quota a heartbeat comes late although the worker is alive."""

NEVER_S = 1e9


@dataclass(frozen=True)
class Extra:
    """What a cell holds beside its run.

    Attributes
    ----------
    objective: on all training rows after `objective_round` rounds; None if the run ended sooner.
    ideal_s: what the drawn delays alone cost, for each round; empty without injected delays.
    own_cores, other_cores: mean cores used by the run and by everything else on the machine.
    """

    objective_round: int
    objective: float | None
    ideal_s: list[float]
    own_cores: float
    other_cores: float | None


@dataclass(frozen=True)
class Workshop:
    """Where cells are run, and what is the same for all of them.

    Attributes
    ----------
    out: the root directory.
    rounds: that uncoded runs.
    time_scale: delays are multiplied by it.
    """

    out: Path
    rounds: int
    time_scale: float

    def store(self, cell: Cell) -> Path:
        """Return where a data set is prepared."""
        return self.out / "stores" / cell.data_set.name

    def directory(self, cell: Cell) -> Path:
        """Return the run directory of a cell."""
        name = recorded_run.slug(cell.label)
        return self.out / "cells" / cell.data_set.name / cell.setting / name / f"seed-{cell.seed}"

    def settings(self, cell: Cell) -> RunSettings:
        """Return what a cell is run with."""
        delay = "none"
        if cell.setting == "delays":
            delay = f"exponential:mean_s={MEAN_DELAY_S * self.time_scale:g}"
        tree: dict[str, Any] = {
            "store": str(self.store(cell)),
            "scheme": cell.scheme,
            "workers": N_WORKERS,
            "rounds": cell.rounds(self.rounds),
            "seed": cell.seed,
            "delay": delay,
            "step": cell.data_set.step,
            # As in the paper, whatever the defaults are: plain descent, to the last round.
            "optimizer": "gradient-descent",
            "l2": 0.0,
            "until": "none",
            "evaluate_every_rounds": min(EVALUATE_EVERY_ROUNDS, self.rounds),
            "out": str(self.directory(cell)),
            # One checkpoint where the objectives are compared, and none besides.
            "checkpoint": {"every_rounds": self.rounds, "every_s": NEVER_S},
        }
        if cell.setting == "quotas":
            tree["membership"] = {"silence_limit_s": SILENCE_LIMIT_S}
        return load(RunSettings, tree, environment={})

    def finished(self, cell: Cell) -> bool:
        """Tell whether a cell was run to its end.

        Raises
        ------
        UsageError: it was run with other settings.
        """
        path = self.directory(cell)
        if not (path / EXTRA).is_file():
            return False
        held, wanted = Run.open(path).settings, self.settings(cell)
        for group, name in (
            ("coding", "scheme"),
            ("descent", "rounds"),
            ("straggling", "delay"),
            ("descent", "step"),
            ("coding", "workers"),
        ):
            was, now = (getattr(getattr(settings, group), name) for settings in (held, wanted))
            if was != now:
                raise UsageError(
                    f"{path} was run with {name}={was}, and now it is {now}; name another"
                    " directory with --out"
                )
        return True

    def ideal_s(self, cell: Cell, rounds: int) -> FloatArray:
        """Return what each of the first rounds costs by the drawn delays alone."""
        settings = self.settings(cell)
        delays = settings.delays()
        if delays.delays_no_one:
            return np.zeros(0)
        return ideal_round_s(settings.fitted(), delays, range(1, rounds + 1))

    def run(self, cell: Cell, console: Console, observers: Sequence[Observer]) -> RunSummary:
        """Run a cell from its beginning; what an earlier attempt left is removed.

        Raises
        ------
        QuotasUnavailableError: it needs CPU quotas, and there are none here.
        ErasureHeadError: whatever the run raises.
        """
        planned, path = plan_here(self.settings(cell)), self.directory(cell)
        if path.exists():
            _check_removable(path)
            # A run that was cut short has lost the time between; only whole ones are timed.
            shutil.rmtree(path)
        with ExitStack() as stack:
            quotas = None
            if cell.setting == "quotas":
                slow = slow_slots(cell.seed)
                limits = [SLOW if slot in slow else FAST for slot in range(N_WORKERS)]
                quotas = Confinement(stack.enter_context(QuotaGroups(limits)))

            def run(
                planned: PlannedRun, watching: Sequence[Observer], resume: Any = None, /
            ) -> RunSummary:
                every = [*watching, *observers, *([quotas] if quotas else [])]
                # Under quotas each worker has a share of the cores that is its own: no turns.
                confine, turns = (None, None) if quotas is None else (quotas.attach, 0)
                return run_planned(planned, every, resume, confine, turns)

            meter = CpuMeter()
            summary = recorded_run.run_recorded(
                planned, run, path, console, quiet=True, judges=False
            )
            use = meter.read()
        if is_cut_short(planned.plan.settings, summary):
            return replace(summary, exit_code=EXIT_INTERRUPTED)
        if summary.exit_code not in (EXIT_OK, EXIT_DIVERGED):
            return summary  # not finished: it says nothing of the scheme, and is run again
        theta = model_after(Run.open(path), self.rounds)
        extra = Extra(
            objective_round=self.rounds,
            objective=None if theta is None else training_objective(planned.store, theta),
            ideal_s=self.ideal_s(cell, summary.rounds).tolist(),
            own_cores=use.own_cores,
            other_cores=use.other_cores,
        )
        text = json.dumps(asdict(extra)) + "\n"
        replace_file(path / EXTRA, lambda file: file.write(text.encode("ascii")))
        return summary


def _check_removable(path: Path) -> None:
    """Raise UsageError unless a directory is a run that no process works on."""
    Claim(path).release()
    if not (path / CONFIG).exists() and any(p.name[0] != "." for p in path.iterdir()):
        raise UsageError(
            f"{path} is there already and is no run; name another directory with --out, or remove"
            " it"
        )


def read_extra(path: Path) -> Extra:
    """Read what a finished cell holds beside its run.

    Raises
    ------
    DataError: the file is damaged.
    """
    try:
        return Extra(**json.loads((path / EXTRA).read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{path / EXTRA} is damaged: {reason_of(error)}; remove {path}") from None
