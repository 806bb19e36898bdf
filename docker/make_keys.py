"""Make the key pairs of a compose project, once: one for the master, one that its workers share.

Each side's directory holds its own secret and the public key of the other, and nothing else.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from erasurehead.network.curve import make_keys

KEYS = Path("/keys")


def main() -> None:
    """Write what is not there yet."""
    master, worker = KEYS / "master", KEYS / "worker"
    allowed = master / "workers"
    allowed.mkdir(exist_ok=True)
    for directory, name in ((master, "master"), (worker, "worker")):
        if not (directory / f"{name}.key").exists():
            make_keys(directory, name)
    shutil.copyfile(worker / "worker.pub", allowed / "worker.pub")
    shutil.copyfile(master / "master.pub", worker / "master.pub")


if __name__ == "__main__":
    main()
