"""The same problem on the same cores with what a user would take instead: who is faster at what?

    python benchmarks/peers.py STORE --l2 1e-4 [--workers 12] [--venv DIRECTORY]
        [--delay exponential:mean_s=0.05] [--only ray,dask] [--packages DIRECTORY]
        [--optima DIRECTORY] [--page docs/benchmarks.md]

A gradient loop (scipy's L-BFGS, `peer_loop.py`) with workers as Ray actors, as Dask actors, and as
ranks of MPI over TCP (mpi4py); scikit-learn's best solver, LIBLINEAR and Snap ML in one process;
and ours, once as it comes and once uncoded with L-BFGS, which is the same loop. All minimise the
same objective of the same rows in as many workers, under the same drawn delays.

Each is run three times: without delays, with --delay, and without delays but with two workers
killed (SIGKILL) after round 5. Printed: seconds from the start of the process to the first round,
memory of all its processes (proportional set size, before the kill), bytes a round (ours: of
messages; others: what the loopback device carried), the median round, seconds from the first round
to a gap of 1e-3 (and rounds), and what becomes of it when the workers die. What is better than ours
is in bold. Solvers of one process have no workers: their times are those of a fit, and no delay
holds them up.

Ray, Dask (`distributed`) and MPI (`mpi4py` and `openmpi`) are used where --venv has them, and
LIBLINEAR (`liblinear-official`) and Snap ML (`snapml`) where they can be imported, if need be from
--packages. What is missing is named and left out. Nothing else should run on the machine: the
loopback device counts all bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from against import HERE
from marked_section import table, write_section
from peer_loop import BEGAN, Course, Problem
from scipy.sparse import csr_array

from erasurehead.datasets.store import Store
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead_cli.reproduce.beyond.earlier import packages
from erasurehead_cli.reproduce.beyond.optimum import Gaps, kept_gaps

MARK = 1e-3
ROUNDS = 400
KILL_AFTER = 5
LIMIT_S, STARTED_S = 40.0, 60.0
"""Of the rounds of a run, and how long it may take until the first of them."""

SEARCH_S = 240.0
"""That the solvers of one process have, of which the best and its least effort are looked for."""

PATIENCE_S = 15.0
"""How long a run may take after the deaths; then it hangs."""

BENCHMARKS = HERE / "benchmarks"
NO_DELAY = "none"


@dataclass(frozen=True)
class Peer:
    """Something to train with.

    Attributes
    ----------
    command: without the folder of the problem.
    arguments: after the folder.
    needs: modules that its interpreter must be able to import.
    distributed: it has workers, and so delays and deaths.
    """

    name: str
    command: Sequence[str]
    arguments: Sequence[str] = ()
    needs: Sequence[str] = ()
    distributed: bool = True

    def missing(self, environment: Mapping[str, str]) -> list[str]:
        """Return what is not there of what it needs: programs, and modules to import."""
        programs = [
            part for part in self.command if part.startswith("/") and not part.endswith(".py")
        ]
        absent = [program for program in programs if not Path(program).exists()]
        if absent:
            return absent
        told = f"from importlib.util import find_spec as f; print(*(m for m in {list(self.needs)!r}"
        asked = [programs[-1], "-c", f"{told} if f(m) is None))"]
        done = subprocess.run(asked, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.split()


@dataclass
class Outcome:
    """A run, and the memory of its processes where it stood still; 0: it did not."""

    course: Course
    memory_bytes: float = 0.0


def peers(venv: Path, workers: int) -> list[Peer]:
    """Return all that there are, ours first."""
    here, other = sys.executable, str(venv / "bin" / "python")

    def script(name: str) -> str:
        return str(BENCHMARKS / f"peer_{name}.py")

    mpi = [str(venv / "bin" / "mpirun"), "-n", str(workers + 1), "--oversubscribe"]
    mpi += ["--allow-run-as-root", "--mca", "pml", "ob1", "--mca", "btl", "tcp,self"]
    mpi += ["--mca", "btl_tcp_if_include", "lo"]
    one = [here, script("solver")]
    return [
        Peer("ErasureHead", [here, script("ours")], ("cached", "auto")),
        Peer("ErasureHead, uncoded, L-BFGS", [here, script("ours")], ("uncoded", "lbfgs")),
        Peer("MPI over TCP", [*mpi, other, script("mpi")], (), ("mpi4py",)),
        Peer("Ray actors", [other, script("ray")], (), ("ray",)),
        Peer("Dask actors", [other, script("dask")], (), ("distributed",)),
        Peer("scikit-learn", one, ("scikit-learn",), ("sklearn",), False),
        Peer("LIBLINEAR", one, ("LIBLINEAR",), ("liblinear",), False),
        Peer("Snap ML", one, ("Snap ML",), ("snapml",), False),
    ]


def write_problem(
    store: Store, gaps: Gaps, l2: float, optimum: Path, workers: int, folder: Path
) -> Problem:
    """Write what peers read, without delays; return the problem."""
    matrix = csr_array(store.train.matrix())
    for name, array in (
        ("indptr", matrix.indptr),
        ("indices", matrix.indices),
        ("values", matrix.data.astype(np.float64)),
        ("labels", np.asarray(store.train.labels, dtype=np.float64)),
    ):
        np.save(folder / f"{name}.npy", array)
    rows, columns = matrix.shape
    logistic = store.manifest.target == "two classes"
    return Problem(
        store=str(Path(store.path).resolve()),
        optimum=str(optimum),
        rows=rows,
        columns=columns,
        l2=l2,
        logistic=logistic,
        least=gaps.least,
        whole=gaps.whole,
        mark=MARK,
        workers=workers,
        delay=NO_DELAY,
        limit_s=LIMIT_S,
        kill_after=0,
    )


def write_conditions(problem: Problem, folder: Path) -> None:
    """Write the problem with its delays, which are those that our workers draw."""
    written = {"store": problem.store, "workers": problem.workers, "delay": problem.delay}
    delays = load(RunSettings, written, environment={}).delays()
    drawn = [delays.delays_s(t, 1.0 / problem.workers) for t in range(1, ROUNDS + 1)]
    np.save(folder / "delays.npy", np.array(drawn))
    text = json.dumps(asdict(problem))
    (folder / "problem.json").write_text(text, encoding="utf-8")


def environment_of(more_packages: Path | None) -> dict[str, str]:
    """Return what all are started with: where our packages are, and further ones."""
    more = "" if more_packages is None else os.pathsep + str(more_packages.absolute())
    return {**os.environ, "PYTHONPATH": packages(HERE) + more}


def run(peer: Peer, folder: Path, environment: Mapping[str, str]) -> Outcome:
    """Run a peer on what lies in the folder, and end all its processes."""
    began = repr(time.time())
    command = [*peer.command, str(folder), *peer.arguments]
    process = subprocess.Popen(
        command,
        env={**environment, BEGAN: began},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    outcome = Outcome(Course())
    limit_s = STARTED_S + LIMIT_S if peer.distributed else SEARCH_S
    try:
        for line in _lines(process, limit_s):
            if line == "pause":
                outcome.memory_bytes = sum(_proportional_bytes(pid) for pid in _marked(began))
                assert process.stdin is not None
                process.stdin.write(b"\n")
            elif line.startswith("{"):
                outcome.course = Course(**json.loads(line))
                break
        else:
            code = process.poll()
            outcome.course.ended = (
                "hangs" if code is None else f"all its processes end (code {code})"
            )
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5.0)
        for pid in _marked(began):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
    return outcome


def _lines(process: subprocess.Popen[bytes], limit_s: float) -> Iterator[str]:
    """Yield what a process says, until it ends or the time is over; less is left after a pause."""
    assert process.stdout is not None
    until, buffered = time.monotonic() + limit_s, b""
    while (left_s := until - time.monotonic()) > 0:
        if not select.select([process.stdout], [], [], left_s)[0]:
            return
        read = os.read(process.stdout.fileno(), 1 << 16)
        if not read:
            process.wait()
            return
        *lines, buffered = (buffered + read).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
            if line == b"pause":
                until = min(until, time.monotonic() + PATIENCE_S)


def _marked(began: str) -> list[int]:
    """Return the processes that were started by one that was started at this time."""
    mark = f"{BEGAN}={began}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def _proportional_bytes(pid: int) -> float:
    """Return the memory of a process, with its share of what others have too."""
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024.0
    return 0.0


@dataclass
class Row:
    """All that is known of a peer: its runs without delays, with them, and with deaths."""

    peer: Peer
    plain: Outcome
    delayed: Outcome
    dying: Outcome

    @property
    def numbers(self) -> list[float | None]:
        """Start, memory, bytes, round, to the mark, and the last two under delays."""
        plain, delayed = self.plain.course, self.delayed.course
        memory = self.dying.memory_bytes or None
        return [
            plain.start_s or None,
            memory,
            plain.bytes_a_round or None,
            plain.round_s or None,
            plain.reached_s,
            delayed.round_s or None,
            delayed.reached_s,
        ]


HEAD = ["", "start", "memory", "bytes a round", "a round", "to 1e-3"]
HEAD += ["a round, delays", "to 1e-3, delays", "two workers dead after round 5"]
UNITS = [(1.0, "s", 1), (1e-6, "MB", 0), (1e-3, "kB", 0), (1e3, "ms", 1)]
UNITS += [(1.0, "s", 2), (1e3, "ms", 1), (1.0, "s", 2)]
TIMES = (4, 6)
"""Which of a row's numbers are times to the mark: a peer that is better in one of them wins."""


def shown(row: Row, ours: Row) -> list[str]:
    """Return the cells of a row."""
    cells: list[str] = []
    better: set[int] = set()
    for i, (number, own) in enumerate(zip(row.numbers, ours.numbers, strict=True)):
        scale, unit, digits = UNITS[i]
        if number is None:
            cells.append("-")
            continue
        text = f"{number * scale:,.{digits}f} {unit}"
        if i in TIMES and row.peer.distributed:
            text += f" ({(row.plain, row.delayed)[i > TIMES[0]].course.rounds})"
        if row is not ours and (own is None or number < own):
            text = f"**{text}**"
            better.add(i)
        cells.append(text)
    dying = row.dying.course
    what = dying.ended
    if dying.reached_s is not None:
        what = f"goes on, to 1e-3 in {dying.reached_s:.2f} s ({dying.rounds})"
    if not row.peer.distributed:
        what = f"has no workers ({what})" if what else "has no workers"
    name = f"**{row.peer.name}**" if better & set(TIMES) else row.peer.name
    return [name, *cells, what]


def compare(
    every: Sequence[Peer],
    problem: Problem,
    delay: str,
    folder: Path,
    environment: Mapping[str, str],
) -> list[Row]:
    """Run all peers under all conditions."""
    conditions = {
        "without delays": problem,
        f"with {delay}": replace(problem, delay=delay),
        "with two deaths": replace(problem, kill_after=KILL_AFTER),
    }
    found: dict[tuple[str, str], Outcome] = {}
    for what, conditioned in conditions.items():
        write_conditions(conditioned, folder)
        for peer in every:
            known = found.get((peer.name, "without delays"))
            # A solver that has found nothing once is not asked again.
            if peer.distributed or known is None:
                found[peer.name, what] = run(peer, folder, environment)
            else:
                found[peer.name, what] = known
            print(f"  {peer.name}, {what}: {found[peer.name, what]}", flush=True)
    return [Row(peer, *(found[peer.name, what] for what in conditions)) for peer in every]


def main() -> None:
    """Compare, print, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("store")
    parser.add_argument("--l2", type=float, required=True)
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--delay", default="exponential:mean_s=0.05")
    parser.add_argument("--venv", type=Path, default=Path(".venv-peers"))
    parser.add_argument("--packages", type=Path)
    parser.add_argument("--only", help="words of the names of peers, between commas")
    parser.add_argument("--optima", type=Path, default=Path("runs/optima"))
    parser.add_argument("--page", type=Path)
    given = parser.parse_args()
    store = Store.open(given.store)
    optimum = (given.optima / store.manifest.name / "optimum.npz").resolve()
    gaps = kept_gaps(store, given.l2, optimum)
    environment = environment_of(given.packages)
    words = given.only.lower().split(",") if given.only else [""]
    every = []
    for peer in peers(given.venv.absolute(), given.workers):
        missing = peer.missing(environment)
        if missing:
            print(f"{peer.name} is left out: {', '.join(missing)} is not installed")
        elif peer.name == "ErasureHead" or any(word in peer.name.lower() for word in words):
            every.append(peer)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        problem = write_problem(store, gaps, given.l2, optimum, given.workers, folder)
        rows = compare(every, problem, given.delay, folder, environment)
    text = table(HEAD, [shown(row, rows[0]) for row in rows])
    print(f"{store.manifest.name}, l2 {given.l2:g}, {given.workers} workers, {given.delay}\n{text}")
    if given.page is not None:
        write_section(given.page, f"peers-{store.manifest.name}", text)


if __name__ == "__main__":
    main()
