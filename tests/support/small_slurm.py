"""A SLURM of one node, which runs while a context is open."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.scraped_metrics import free_port

LIMIT_S = 120.0
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"])
"""Daemons are not on everybody's path, and `erasurehead` lies beside the interpreter."""

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
MISSING = [tool for tool in NEEDED if shutil.which(tool, path=PATH) is None]

CONF = """
ClusterName=small
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={master_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# A job that starts again waits for as long as a credential lives.
AuthInfo=socket={folder}/munge.socket,cred_expire=6
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
KillWait=5
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=32 RealMemory=10000
PartitionName=all Nodes=ALL Default=YES OverSubscribe=YES
"""


class SmallSlurm:
    """Commands of a SLURM that runs.

    Parameters
    ----------
    folder: of its configuration and its logs.
    work: where jobs run.
    """

    def __init__(self, folder: Path, work: Path) -> None:
        self.work = work
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}

    def call(self, *command: str) -> str:
        """Return what a command prints."""
        done = subprocess.run(
            command,
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def submit(self, *arguments: str) -> str:
        """Submit a batch job; return its number."""
        return self.call("sbatch", "--parsable", *arguments).strip()

    def job(self, number: str) -> dict[str, str]:
        """Return what SLURM knows of a job."""
        shown = self.call("scontrol", "show", "job", "--oneliner", number).splitlines()[-1]
        return dict(pair.partition("=")[::2] for pair in shown.split())


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is true."""
    end = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s: {what}"
        time.sleep(0.1)


@contextmanager
def small_slurm(work: Path) -> Iterator[SmallSlurm]:
    """Start the daemons; end them, and with them every job, in the end."""
    with ExitStack() as stack:
        # munged wants folders above its socket that others may enter.
        folder = Path(tempfile.mkdtemp(prefix="erasurehead-slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        for inner in ("state", "spool"):
            (folder / inner).mkdir(mode=0o755)
        conf = CONF.format(
            host=socket.gethostname().partition(".")[0],
            master_port=free_port(),
            node_port=free_port(),
            user=getpass.getuser(),
            folder=folder,
        )
        (folder / "slurm.conf").write_text(conf)
        slurm = SmallSlurm(folder, work)
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        kept = [f"--{n}={folder}/munge.{n.partition('-')[0]}" for n in ("pid-file", "log-file")]
        names = {"key-file": key, "seed-file": folder / "munge.seed"}
        kept += [f"--{name}={path}" for name, path in names.items()]
        for daemon in (
            ["munged", "--foreground", f"--socket={folder}/munge.socket", *kept],
            ["slurmctld", "-D"],
            ["slurmd", "-D"],
        ):
            stack.enter_context(_running(daemon, slurm.environment, folder / f"{daemon[0]}.out"))
            if daemon[0] == "munged":
                until((folder / "munge.socket").exists, "munged has a socket")
        stack.callback(_cancel_all, slurm)
        until(lambda: "idle" in slurm.call("sinfo", "-h", "-o", "%T"), "the node is idle")
        yield slurm


def _cancel_all(slurm: SmallSlurm) -> None:
    """End all jobs, and wait until none is left."""
    slurm.call("scancel", "--user", getpass.getuser())
    until(lambda: not slurm.call("squeue", "-h"), "no job is left")


@contextmanager
def _running(command: list[str], environment: dict[str, str], out: Path) -> Iterator[None]:
    """Run a daemon in the foreground; end it in the end."""
    program = shutil.which(command[0], path=PATH)
    assert program is not None
    with (
        out.open("wb") as file,
        subprocess.Popen(
            [program, *command[1:]], env=environment, stdout=file, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
