"""A run on a real SLURM, whose daemons the test starts: what a cluster does to it, and a resume."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from erasurehead.datasets.prepare import prepare
from erasurehead.runs import Run, recorded_rounds
from erasurehead_engines.posting import read
from tests.support.small_slurm import MISSING, SmallSlurm, small_slurm, until
from tests.support.when_asked import Asking

pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"SLURM is not installed here ({', '.join(MISSING)})"
)

SCRIPTS = Path(__file__).parents[2] / "examples" / "slurm"

OPTIONS = (
    *("--scheme", "uncoded:r=4", "--step", "0.5", "--delay", "exponential:mean_s=0.02"),
    *("--checkpoint-every-rounds", "5"),
    *("--membership-silence-limit-s", "6", "--membership-heartbeat-interval-s", "0.5"),
)


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[SmallSlurm]:
    options = {"rows": "300", "columns": "60", "nnz": "4", "seed": "3"}
    prepare("synthetic", source=None, out=tmp_path / "store", options=options)
    for script in ("run.sbatch", "workers.sbatch"):
        shutil.copy(SCRIPTS / script, tmp_path)
    with small_slurm(tmp_path) as slurm:
        yield slurm


def task(job: str, number: int) -> psutil.Process:
    """Return the process of a task of a job, by what SLURM has told it."""
    wanted = {"SLURM_JOB_ID": job, "SLURM_PROCID": str(number)}.items()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it is gone meanwhile
            if wanted <= process.environ().items():
                return process
    raise AssertionError(f"job {job} has no task {number}")


def in_slots(run: Path) -> list[str]:
    """Return the names of the workers in the slots of a run, as last told."""
    lines = (run / "rounds.jsonl").read_text().splitlines()
    told: list[list[str]] = [json.loads(line)["workers"] for line in lines[:-1]]
    return next(names for names in reversed(told) if names)


def test_a_run_of_eight_tasks_survives_what_a_cluster_does(
    slurm: SmallSlurm, tmp_path: Path
) -> None:
    """1. A master and seven workers train in a directory of the job's number; two workers of an
    array find them by the file. 2. A task is killed: a worker of the array has its slot. 3. That
    worker is asked to end and leaves in order. 4. The job is requeued: the run resumes, and the
    other worker of the array finds its master again. 5. The run ends as any other, and so do both
    jobs.
    """

    def log() -> str:
        return (run / "events.log").read_text()

    def completed(number: str) -> bool:
        return slurm.job(number)["JobState"] == "COMPLETED"

    asking = Asking(tmp_path)
    job = slurm.submit("run.sbatch", "store", *OPTIONS, *asking.options)
    run, file = tmp_path / "runs" / f"slurm-{job}", tmp_path / f"erasurehead-{job}.json"
    until(lambda: recorded_rounds(run) > 3, "the first rounds")
    assert in_slots(run) == [f"task-{number}" for number in range(1, 8)]
    array = slurm.submit("--array=0-1", "workers.sbatch", str(file))
    helpers = {n: f"array-{array}-{n}" for n in (0, 1)}

    task(job, 3).send_signal(signal.SIGKILL)
    until(lambda: in_slots(run)[2] in helpers.values(), "a worker of the array in slot 2")
    [first] = [n for n, name in helpers.items() if name == in_slots(run)[2]]

    slurm.call("scancel", "--signal=TERM", f"{array}_{first}")
    until(lambda: in_slots(run)[2] == helpers[1 - first], "the other one in slot 2")
    until(partial(completed, f"{array}_{first}"), "its end in order")
    assert f"worker {helpers[first]} leaves: asked to end" in log()

    slurm.call("scontrol", "requeue", job)
    until(lambda: (found := read(file)) and found.start.restarts == 1, "the job starts again")
    back = f"worker {helpers[1 - first]} came in"
    until(lambda: back in log().partition("resuming after round")[2], "the run resumes, with all")
    resumed = recorded_rounds(run)
    until(lambda: recorded_rounds(run) > resumed + 10, "more rounds")
    asking.enough()

    for number in (job, f"{array}_{1 - first}"):
        until(partial(completed, number), f"the end of job {number}")
        assert slurm.job(number)["ExitCode"] == "0:0"
    ended = Run.open(run)
    assert ended.summary is not None
    assert (ended.summary.exit_code, ended.summary.met) == (0, "when-asked")
    assert [record.round for record in ended.records] == list(range(1, len(ended.records) + 1))
    assert (run / "report.html").exists()
    assert "Traceback" not in "".join(path.read_text() for path in tmp_path.glob("*.log"))
