"""Running the checkers that .ci/deploy-tools.sh installs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.deploy_tools import ROOT, Run, find

# Minutes, root and an engine: `make engine-test` asks for these, `make test` does not.
collect_ignore = [] if os.environ.get("ENGINE_TIER") else ["engine"]


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
