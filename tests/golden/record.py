"""Record the golden runs anew: ``python -m tests.golden.record``.

Only a change that is meant to change what a run computes is a reason to do so, and the diff of
``simulated.json`` and ``over_sockets.json`` then says which runs it changed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.golden import golden_runs as golden


def main() -> int:
    """Run every case and write both files; refuse if a name of a registry has no simulation."""
    missing = golden.unrecorded()
    if missing:
        sys.stderr.write(f"no simulation uses {', '.join(missing)}\n")
        return 1
    with tempfile.TemporaryDirectory() as folder:
        scene = golden.Scene(Path(folder))
        simulated = {c.name: golden.run_simulated(c, scene) for c in golden.SIMULATIONS}
        golden.write(golden.SIMULATED, scene.digests(), simulated)
        real = {c.name: golden.run_over_sockets(c, scene) for c in golden.REAL_RUNS}
        golden.write(golden.OVER_SOCKETS, scene.digests(), real)
    return 0


if __name__ == "__main__":
    sys.exit(main())
