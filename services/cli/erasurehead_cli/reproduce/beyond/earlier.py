"""Runs by another checkout of this repository, such as an earlier build.

Nothing is needed of it but its command line and the files that it writes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from erasurehead.arrays import FloatArray
from erasurehead.errors import EXIT_INTERRUPTED, ErasureHeadError, UsageError
from erasurehead_local.orphans import end_with_parent
from erasurehead_master.keep.checkpoint import DIRECTORY, Snapshot

EVERY_ROUNDS = 5
"""A model is kept after so many rounds; a round counts as good as the next model that is kept."""

ALL, NEVER_S, NEVER = 10_000, 1e6, 1_000_000
"""Checkpoints that are kept, seconds between those besides, and rounds between evaluations."""

MODELS = ("optimizer/beta", "optimizer/theta")
"""What checkpoints call the model, of Nesterov's method and of gradient descent."""


def packages(checkout: Path) -> str:
    """Return the PYTHONPATH of a checkout's packages."""
    roots = [checkout / "common", *sorted((checkout / "services").iterdir())]
    return os.pathsep.join(str(root) for root in roots if root.is_dir())


class Earlier:
    """Another checkout of this repository, in which nothing is written but bytecode.

    Parameters
    ----------
    checkout: its root.

    Attributes
    ----------
    build: its commit, or else its version.

    Raises
    ------
    UsageError: it is none.
    """

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout.absolute()
        if not (self._checkout / "services" / "cli" / "erasurehead_cli").is_dir():
            raise UsageError(
                f"--against {checkout} is no checkout of this repository; make one with git"
                " worktree add DIR COMMIT"
            )
        self.build = self._commit() or self._command("--version").split()[-1]

    def prepare(self, name: str, source: Path | None, out: Path) -> None:
        """Make a store, unless it is there.

        Raises
        ------
        ErasureHeadError: the checkout's command has failed.
        """
        of_file = [] if source is None else ["--from", str(source.absolute())]
        self._command("prepare", name, *of_file, "--out", str(out.absolute()))

    def train(self, settings: Mapping[str, Any], out: Path) -> bool:
        """Run `erasurehead train` with these settings, and keep models; False: interrupted.

        Raises
        ------
        ErasureHeadError: the run has failed.
        """
        given = {
            **settings,
            "evaluate-every-rounds": NEVER,
            "checkpoint-every-rounds": EVERY_ROUNDS,
            "checkpoint-every-s": NEVER_S,
            "checkpoint-keep": ALL,
            "out": out.absolute(),
        }
        store = given.pop("store")
        options = [f"--{name}={value}" for name, value in given.items()]
        command = [*self._start, "train", str(store), *options, "--no-figures", "--quiet"]
        with subprocess.Popen(
            command,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=partial(end_with_parent, os.getpid()),
        ) as process:
            try:
                _, told = process.communicate()
            except KeyboardInterrupt:
                process.wait()  # it was interrupted as well, and ends by itself
                return False
        if process.returncode == EXIT_INTERRUPTED:
            return False
        self._check(process.returncode, told)
        return True

    @property
    def _start(self) -> Sequence[str]:
        return [sys.executable, "-m", "erasurehead_cli"]

    @property
    def _environment(self) -> Mapping[str, str]:
        kept = {name: v for name, v in os.environ.items() if not name.startswith("ERASUREHEAD_")}
        return {**kept, "PYTHONPATH": packages(self._checkout)}

    def _command(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._start, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self._check(done.returncode, done.stderr)
        return done.stdout

    def _commit(self) -> str:
        git = ["git", "-C", str(self._checkout), "rev-parse", "--short", "HEAD"]
        try:
            return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
        except OSError:
            return ""

    def _check(self, code: int, told: str) -> None:
        if code:
            last = (told.strip().splitlines() or ["it does not say why"])[-1]
            raise ErasureHeadError(f"the build in {self._checkout} ended with code {code}: {last}")


def kept_models(run: Path) -> dict[int, FloatArray]:
    """Return the models that a run has kept, by round, ascending."""
    found: dict[int, FloatArray] = {}
    for file in sorted((run / DIRECTORY).glob("*.ckpt")):
        snapshot = Snapshot.from_bytes(file.read_bytes())
        [model] = [snapshot.arrays[name] for name in MODELS if name in snapshot.arrays]
        found[snapshot.round] = model
    return found
