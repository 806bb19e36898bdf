"""Keys that are made for one run, where other machines reach its master."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from erasurehead.network.curve import AllowedKeys, MasterKeys, make_keys, read_secret


@dataclass(frozen=True)
class RunKeys:
    """The keys of a run.

    Attributes
    ----------
    master: for the master's own socket; None: connections have no keys.
    public: the master's public key, as the text of a key file.
    secrets: the secret key of each worker, as the text of a key file.
    """

    master: MasterKeys | None = None
    public: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@contextmanager
def fresh_keys(names: Iterable[str]) -> Iterator[RunKeys]:
    """Make a key for the master and one for each worker; they are gone with the context.

    One key each, because the master that sets a worker aside bans its key.

    Parameters
    ----------
    names: of the keys of workers.
    """
    with tempfile.TemporaryDirectory(prefix="erasurehead-keys-") as folder:
        secret, public = make_keys(Path(folder) / "master", "master")
        allowed = Path(folder) / "workers"
        made = {name: make_keys(allowed, name)[0] for name in names}
        yield RunKeys(
            MasterKeys(read_secret(secret), AllowedKeys(allowed)),
            public.read_text(encoding="ascii"),
            {name: path.read_text(encoding="ascii") for name, path in made.items()},
        )
