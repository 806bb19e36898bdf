"""Finding the checkers that .ci/deploy-tools.sh installs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-deploy"

Run = Callable[..., subprocess.CompletedProcess[str]]


def find(tool: str) -> str | None:
    """Return the path of a checker: ours first, then the machine's."""
    ours = [TOOLS / "bin" / tool, TOOLS / "types" / "node_modules" / ".bin" / tool]
    return next((str(p) for p in ours if p.exists()), None) or shutil.which(tool)


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a checker in the repository; skip, by its name, where it is not installed."""

    def call(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        path = find(tool)
        if path is None:
            pytest.skip(f"{tool} is not installed (.ci/deploy-tools.sh installs it)")
        return subprocess.run(
            [path, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call
