"""What SLURM tells a task about itself, and what the task has to do. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from erasurehead.errors import UsageError
from erasurehead_engines.posting import Start


@dataclass(frozen=True, slots=True)
class Rank:
    """A task of a job step; the first one is the master, the others are workers.

    Attributes
    ----------
    number: from 0.
    tasks: of the step.
    node: on which the task is, as SLURM calls it.
    nodes: how many the step has.
    node_list: all of them, as SLURM writes it: ``n[1-3]``.
    submitted_from: the host on which the job was submitted; may be empty.
    """

    number: int
    tasks: int
    node: str
    nodes: int
    node_list: str
    submitted_from: str
    start: Start

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Rank:
        """Return the task that a process is.

        Raises
        ------
        UsageError: it is none.
        """
        if "SLURM_JOB_ID" not in environment:
            raise UsageError(
                "this process is in no job of SLURM; write 'srun erasurehead slurm ...' into a"
                " script for sbatch, or use 'erasurehead train' on one machine"
            )
        if "SLURM_STEP_ID" not in environment:
            raise UsageError(
                "srun has not started this process, so there is one task and no worker; write"
                " 'srun erasurehead slurm ...'"
            )
        return cls(
            number=_number(environment, "SLURM_PROCID"),
            tasks=_number(environment, "SLURM_NTASKS"),
            node=environment.get("SLURMD_NODENAME", ""),
            nodes=_number(environment, "SLURM_STEP_NUM_NODES", otherwise=1),
            node_list=environment.get("SLURM_STEP_NODELIST", ""),
            submitted_from=environment.get("SLURM_SUBMIT_HOST", ""),
            start=Start(
                job=environment["SLURM_JOB_ID"],
                step=environment["SLURM_STEP_ID"],
                restarts=_number(environment, "SLURM_RESTART_COUNT", otherwise=0),
            ),
        )

    @property
    def is_master(self) -> bool:
        """True for the first task."""
        return self.number == 0

    def defaults(self) -> dict[str, Any]:
        """Return settings that follow from the job, as on the command line.

        The directory has the job's number, which stays when SLURM starts the job again; so a run
        goes on in its own directory, wherever its nodes are then.
        """
        found: dict[str, Any] = {"out": f"runs/slurm-{self.start.job}"}
        if self.start.restarts:
            found["resume"] = True
        if self.tasks > 1:
            found["workers"] = self.tasks - 1
        return found

    def file(self, named: Path | None) -> Path:
        """Return where the master's address is written."""
        return (named or Path(f"erasurehead-{self.start.job}.json")).absolute()

    def slot(self, workers: int) -> int | None:
        """Return the slot that a worker asks for; None for a spare."""
        return self.number - 1 if self.number <= workers else None

    def check_tasks(self, workers: int, *, others_join: bool) -> None:
        """See that there are as many tasks as the workers that are asked for.

        Parameters
        ----------
        others_join: workers of other jobs are told of the address file.

        Raises
        ------
        UsageError: there are fewer.
        """
        if others_join or self.tasks > workers:
            return
        own = f"--workers {self.tasks - 1}, " if self.tasks > 1 else ""
        raise UsageError(
            f"{workers} workers and a master are {workers + 1} tasks, and srun has started"
            f" {self.tasks}; give --ntasks={workers + 1} to sbatch, {own}or an --address-file by"
            " which workers of other jobs join"
        )

    def neighbours(self, step_nodes: Sequence[str]) -> list[str]:
        """Return hosts that must reach the master, or are likely to.

        Parameters
        ----------
        step_nodes: the nodes of the step by name.
        """
        others = [node for node in step_nodes if node != self.node]
        return others or [host for host in (self.submitted_from,) if host]


def _number(environment: Mapping[str, str], name: str, otherwise: int | None = None) -> int:
    text = environment.get(name)
    if text is None and otherwise is not None:
        return otherwise
    if text is None or not text.isdecimal():
        raise UsageError(
            f"SLURM says {name}={text}, which is no number of tasks; start the run with srun, as"
            " 'srun erasurehead slurm ...'"
        )
    return int(text)
