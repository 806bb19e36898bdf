"""Where the checkers are that .ci/deploy-tools.sh installs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / ".venv-deploy"

Run = Callable[..., subprocess.CompletedProcess[str]]


def find(tool: str) -> str | None:
    """Return the path of a checker: ours first, then the machine's."""
    ours = [TOOLS / "bin" / tool, TOOLS / "types" / "node_modules" / ".bin" / tool]
    return next((str(p) for p in ours if p.exists()), None) or shutil.which(tool)
