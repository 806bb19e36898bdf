"""From the environment that SLURM gives a task to what the task does."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasurehead.errors import UsageError
from erasurehead_engines.posting import Start
from erasurehead_engines.ranks import Rank

GIVEN = {
    "SLURM_JOB_ID": "71",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "n[1-2]",
    "SLURMD_NODENAME": "n2",
    "SLURM_SUBMIT_HOST": "login",
}


def test_a_task_learns_what_it_is() -> None:
    """1. The fourth of eight is a worker, and asks for the third slot. 2. The first is the master.
    3. A task beyond the workers that are asked for is a spare.
    """
    rank = Rank.of(GIVEN)
    assert (rank.number, rank.tasks, rank.nodes) == (3, 8, 2)
    assert rank.start == Start(job="71", step="0", restarts=0)
    assert not rank.is_master
    assert rank.slot(7) == 2
    assert Rank.of({**GIVEN, "SLURM_PROCID": "0"}).is_master
    assert rank.slot(2) is None


def test_settings_follow_from_the_job() -> None:
    """1. As many workers as there are other tasks, in a directory of the job's number. 2. A job
    that SLURM has started again resumes. 3. A master alone leaves the number of workers open.
    """
    assert Rank.of(GIVEN).defaults() == {"out": "runs/slurm-71", "workers": 7}
    again = Rank.of({**GIVEN, "SLURM_RESTART_COUNT": "2"})
    assert again.start.restarts == 2
    assert again.defaults() == {"out": "runs/slurm-71", "workers": 7, "resume": True}
    assert "workers" not in Rank.of({**GIVEN, "SLURM_NTASKS": "1"}).defaults()


def test_the_file_is_named_by_the_job() -> None:
    rank = Rank.of(GIVEN)
    assert rank.file(None) == Path.cwd() / "erasurehead-71.json"
    assert rank.file(Path("/shared/here.json")) == Path("/shared/here.json")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"SLURM_JOB_ID": None}, "in no job of SLURM; write 'srun erasurehead slurm"),
        ({"SLURM_STEP_ID": None}, "srun has not started this process"),
        ({"SLURM_PROCID": None}, "SLURM says SLURM_PROCID=None"),
        ({"SLURM_NTASKS": "8(x2)"}, "no number of tasks; start the run with srun"),
    ],
)
def test_a_process_that_is_no_task_is_told_so(change: dict[str, str | None], words: str) -> None:
    environment = {k: v for k, v in {**GIVEN, **change}.items() if v is not None}
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        Rank.of(environment)


def test_fewer_tasks_than_workers_are_refused_unless_others_join() -> None:
    """1. 8 tasks hold a master and 7 workers. 2. 8 workers need 9, or an address file. 3. A lone
    master is told the same.
    """
    rank = Rank.of(GIVEN)
    rank.check_tasks(7, others_join=False)
    rank.check_tasks(5, others_join=False)
    rank.check_tasks(30, others_join=True)
    with pytest.raises(UsageError) as refused:
        rank.check_tasks(8, others_join=False)
    assert str(refused.value) == (
        "8 workers and a master are 9 tasks, and srun has started 8; give --ntasks=9 to sbatch,"
        " --workers 7, or an --address-file by which workers of other jobs join"
    )
    with pytest.raises(UsageError, match=r"started 1; give --ntasks=13 to sbatch, or an --address"):
        Rank.of({**GIVEN, "SLURM_NTASKS": "1"}).check_tasks(12, others_join=False)


def test_the_master_looks_for_an_address_towards_its_neighbours() -> None:
    """1. Towards the other nodes of the step. 2. With one node, towards where the job came from."""
    rank = Rank.of(GIVEN)
    assert rank.neighbours(["n1", "n2"]) == ["n1"]
    assert rank.neighbours(["n2"]) == ["login"]
    assert Rank.of({**GIVEN, "SLURM_SUBMIT_HOST": ""}).neighbours(["n2"]) == []
