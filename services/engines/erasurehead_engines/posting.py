"""The file in which a master on SLURM says where it is, for workers that nobody can tell.

It lies on a file system that the nodes share. Workers poll it, so it is always a whole one, and it
says which start of which job it is of: a job that is requeued has the same number again, and a
script may start one run after another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from erasurehead.errors import UsageError, reason_of
from erasurehead.process.durable import replace_file

State = Literal["starting", "listening", "left", "over"]


class Start(BaseModel):
    """One start of a run by SLURM.

    Attributes
    ----------
    job, step: their numbers.
    restarts: how often SLURM has started the job again.
    """

    model_config = ConfigDict(frozen=True)

    job: str
    step: str
    restarts: int


class Posting(BaseModel):
    """What a master says of itself.

    Attributes
    ----------
    version: of its ErasureHead.
    host: the machine that it is on.
    state: ``left`` if it was asked to end and another one may go on with the run; ``over`` if
        nobody will.
    exit_code: of a run that is over.
    reason: why it has left or is over.
    address: what workers connect to; empty: it does not listen, or listens no more.
    public: its public key, as the text of a key file; None: connections have no keys.
    secrets: secret keys for workers, as texts of key files.
    late: how many of these, at the end, are for workers of other jobs.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    start: Start
    host: str
    state: State
    exit_code: int | None = None
    reason: str = ""
    address: str = ""
    public: str | None = None
    secrets: tuple[str, ...] = Field((), repr=False)
    late: int = 0

    def gone(self, state: State, reason: str, exit_code: int | None = None) -> Posting:
        """Return what is left to say when this master listens no more."""
        return Posting(
            version=self.version,
            start=self.start,
            host=self.host,
            state=state,
            exit_code=exit_code,
            reason=reason,
        )

    def secret_for(self, number: int, *, late: bool) -> str | None:
        """Return the secret key of a worker; None if connections have no keys.

        Parameters
        ----------
        number: of the worker: its task among the job's own workers, anything for a late one.
        late: whether another job has started it.
        """
        if self.public is None:
            return None
        own = len(self.secrets) - self.late
        return self.secrets[own + number % self.late if late else number]


def post(path: Path, posting: Posting) -> None:
    """Write a posting, for its owner alone: it may hold keys.

    Raises
    ------
    UsageError: the file cannot be written.
    """
    text = json.dumps(posting.model_dump(mode="json"), indent=1) + "\n"
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.unlink(missing_ok=True)
        beside.touch(mode=0o600, exist_ok=False)
        replace_file(path, lambda file: file.write(text.encode()), beside)
    except OSError as error:
        raise UsageError(
            f"cannot write the master's address to {path}: {reason_of(error)}; name a file on a"
            " file system that all nodes share with --address-file"
        ) from None


def read(path: Path) -> Posting | None:
    """Return what a file says; None if there is none.

    Raises
    ------
    UsageError: it cannot be read, or is something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the master's address from {path}: {reason_of(error)}") from (
            None
        )
    try:
        return Posting.model_validate_json(text)
    except ValidationError:
        raise UsageError(
            f"{path} is no address file of this version of ErasureHead; name the file that"
            " 'erasurehead slurm' writes, and install the same version on all nodes"
        ) from None
