"""A disk that is full, or may not be written: training goes on, and nothing that was good is lost.

The master runs in a mount namespace of its own, so that its disk can be a few megabytes or
be taken away; the test sees that disk through ``/proc/PID/root``.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

import pytest

from erasurehead.errors import EXIT_OK, EXIT_USAGE
from erasurehead.records import Observer
from erasurehead.runs import RunWriter
from tests.support.fault_scene import LIMIT_S, K, Scene, Watch, after
from tests.support.scraped_metrics import free_port, scrape
from tests.support.when_asked import Asking

FAILURES = "erasurehead_checkpoint_failures_total"


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"not within {LIMIT_S:g} s: {what}"
        time.sleep(0.05)


def test_a_full_device_does_not_stop_the_run(fault_scene: Scene, tmp_path: Path) -> None:
    """/dev/full is a device that is always full; the checkpoint's partial file is led to it."""
    fault_scene.start_all()
    out = tmp_path / "run"
    lost: list[int] = []

    class Lost(Observer):
        def checkpointed(self, round_: int, kept: bool) -> None:
            if not kept:
                lost.append(round_)

    def fill() -> None:
        # The checkpoints are written on a thread of their own.
        until(lambda: any((out / "checkpoint").glob("*.ckpt")), "the first checkpoint")
        for n in range(1, 400):
            with contextlib.suppress(FileExistsError):  # it is being written
                (out / "checkpoint" / f"round-{n:09d}.part").symlink_to("/dev/full")

    watch = Watch((after(50), fill))
    changes = {"out": out, "checkpoint": {"every_rounds": 10}, "rounds": 200}
    with RunWriter(out, fault_scene.settings(watch.http_port, **changes)) as writer:
        # The watch asks for the metrics at the very end, so `Lost` has heard of all by then.
        summary = fault_scene.serve(watch, writer, Lost(), **changes)
    assert summary.exit_code == EXIT_OK
    assert lost, "no checkpoint failed"
    assert watch.said("cannot write the checkpoint of round") >= 1
    assert watch.metrics[FAILURES] == len(lost)
    assert list((out / "checkpoint").glob("round-*.ckpt")), "the old checkpoints are gone"
    assert len((out / "rounds.jsonl").read_text().splitlines()) == 200
    assert json.loads((out / "summary.json").read_text())["exit_code"] == 0


class Disk:
    """A master whose run directory lies on a small tmpfs, and what can be done to that.

    Parameters
    ----------
    unshare: how to get a mount namespace.
    enter: how to run something in the one of a process, whose number is to be put in.
    """

    def __init__(self, scene: Scene, mountpoint: Path, unshare: list[str], enter: str) -> None:
        self._scene = scene
        self._mountpoint = mountpoint
        self._unshare = unshare
        self._enter = enter
        self._http_port = free_port()
        self._asking = Asking(mountpoint.parent)
        self.process: subprocess.Popen[str] | None = None

    def start(self, options: str = "size=4m") -> subprocess.Popen[str]:
        """Start a master whose run goes on until `finish`, and that goes on answering after it."""
        mount = f"mount -t tmpfs -o {options} tmpfs {self._mountpoint}"
        command = [
            *(sys.executable, "-m", "erasurehead_cli", "master", self._scene.store),
            *("--bind", f"tcp://127.0.0.1:{self._scene.port}", "--workers", str(K)),
            *("--scheme", "agc:c=2,r=3", *self._asking.options, "--step", "0.5", "--quiet"),
            *("--delay", "exponential:mean_s=0.02", "--checkpoint-every-rounds", "5"),
            *("--out", str(self._mountpoint / "run")),
            *("--http-bind", f"127.0.0.1:{self._http_port}", "--http-linger"),
        ]
        self.process = subprocess.Popen(
            [*self._unshare, "sh", "-c", f'{mount} && exec "$@"', "sh", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

    @property
    def path(self) -> Path:
        """The disk, seen from outside."""
        assert self.process is not None
        return Path(f"/proc/{self.process.pid}/root{self._mountpoint}")

    def do(self, script: str) -> None:
        """Run a script where the disk is mounted; ``$RUN`` is the run's directory."""
        assert self.process is not None
        enter = self._enter.format(pid=self.process.pid).split()
        told = f"RUN={self._mountpoint / 'run'}; {script}"
        subprocess.run([*enter, "sh", "-ec", told], check=True, timeout=LIMIT_S)

    def metrics(self) -> dict[str, float]:
        try:
            return scrape(self._http_port)
        except OSError:
            return {}

    def metric(self, name: str) -> float:
        return self.metrics().get(name, 0.0)

    def checkpoints(self) -> list[str]:
        return sorted(p.name for p in (self.path / "run" / "checkpoint").glob("*.ckpt"))

    def lines(self) -> int:
        return (self.path / "run" / "rounds.jsonl").read_bytes().count(b"\n")

    def finish(self) -> int:
        """Let the run end; return its last round."""
        self._asking.enough()
        until(lambda: "erasurehead_exit_code" in self.metrics(), "the end")
        assert self.metric("erasurehead_exit_code") == EXIT_OK
        return int(self.metric("erasurehead_round"))

    def end(self) -> tuple[int, str]:
        """Ask the master, whose run is over, to end; return its exit code and what it said."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        said, _ = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, " ".join(said.split())


WAYS = (
    (["unshare", "-m"], "nsenter -t {pid} -m"),
    (["unshare", "-rm"], "nsenter -t {pid} -U -m --preserve-credentials"),
)


@pytest.fixture
def disk(fault_scene: Scene, tmp_path: Path) -> Iterator[Disk]:
    mountpoint = tmp_path / "disk"
    mountpoint.mkdir()
    probe = f"mount -t tmpfs -o size=4m tmpfs {mountpoint}"
    for unshare, enter in WAYS:
        try:
            done = subprocess.run([*unshare, "sh", "-c", probe], capture_output=True, check=False)
        except OSError:
            break
        if done.returncode == 0:
            made = Disk(fault_scene, mountpoint, unshare, enter)
            yield made
            if made.process is not None:
                made.process.kill()
                made.process.communicate()
            return
    pytest.skip("mounting in a namespace of one's own is not permitted here")


def fill(file: FileIO) -> None:
    """Write until there is not a byte of room."""
    with contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 12))


def test_a_full_disk_costs_checkpoints_and_nothing_else(fault_scene: Scene, disk: Disk) -> None:
    """1. A tmpfs is filled to the last byte. 2. Checkpoints fail, rounds go on. 3. Room again.

    Nothing is missing at the end: records that found no room were kept and written later.
    """
    fault_scene.start_all()
    disk.start()
    until(lambda: disk.metric("erasurehead_round") >= 30, "30 rounds")
    with (disk.path / "ballast").open("wb", buffering=0) as ballast:
        fill(ballast)
    until(lambda: disk.metric(FAILURES) >= 2, "lost checkpoints")
    held, lines, at = disk.checkpoints(), disk.lines(), disk.metric("erasurehead_round")
    assert held, "the old checkpoints are gone"
    until(lambda: disk.metric("erasurehead_round") >= at + 20, "further rounds")
    assert disk.checkpoints() == held
    assert disk.lines() <= lines + 5, "the disk was not full"
    (disk.path / "ballast").unlink()
    last = disk.finish()
    assert disk.checkpoints()[-1] == f"round-{last:09d}.ckpt"
    records = (disk.path / "run" / "rounds.jsonl").read_text().splitlines()
    assert [json.loads(line)["round"] for line in records] == list(range(1, last + 1))
    summary = json.loads((disk.path / "run" / "summary.json").read_text())
    assert summary["lost_writes"] > 0
    code, said = disk.end()
    assert code == EXIT_OK
    assert said.count("No space left on device; the older ones stay, training goes on") == 1
    assert said.count("No space left on device; the run goes on and tries again") == 1


def test_a_run_directory_that_becomes_read_only_costs_checkpoints(
    fault_scene: Scene, disk: Disk
) -> None:
    """1. Its mount turns read-only. 2. Checkpoints fail, rounds go on. 3. It can be written again.

    The run's open files are written all the same, as the kernel has it.
    """
    fault_scene.start_all()
    disk.start()
    until(lambda: disk.metric("erasurehead_round") >= 30, "30 rounds")
    disk.do("mount --bind $RUN $RUN; mount -o remount,bind,ro $RUN")
    until(lambda: disk.metric(FAILURES) >= 2, "lost checkpoints")
    held, at = disk.checkpoints(), disk.metric("erasurehead_round")
    assert held
    until(lambda: disk.metric("erasurehead_round") >= at + 20, "further rounds")
    assert disk.checkpoints() == held
    disk.do("umount $RUN")
    last = disk.finish()
    assert disk.checkpoints()[-1] == f"round-{last:09d}.ckpt"
    assert disk.lines() == last
    code, said = disk.end()
    assert code == EXIT_OK
    assert said.count("Read-only file system; the older ones stay, training goes on") == 1


def test_a_run_does_not_begin_in_a_read_only_directory(fault_scene: Scene, disk: Disk) -> None:
    """Nobody waits for workers first; nothing was trained, so no metric moves."""
    process = disk.start("size=4m,ro")
    said, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == EXIT_USAGE
    (line,) = said.splitlines()
    assert "cannot write the run to" in line
    assert "Read-only file system; name another directory with --out" in line
