"""Keys for CURVE: their files, the keys that are allowed, and putting them on a socket.

A key is two files, in the format that ZeroMQ's own tools read: ``NAME.key`` with the secret half,
for its owner alone, and ``NAME.pub`` without it, which the other side is given.
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.auth.certs import load_certificate

from erasurehead.errors import UsageError, reason_of

log = logging.getLogger(__name__)

SECRET_SUFFIX = ".key"
PUBLIC_SUFFIX = ".pub"
ZAP_DOMAIN = b"erasurehead"
CURVE_OVERHEAD_BYTES = 64
"""At most what encryption adds to a frame."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A Curve25519 key pair, each half as 40 characters of Z85."""

    public: bytes
    secret: bytes = field(repr=False)


def make_keys(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a fresh key pair; return the paths of the secret and of the public file.

    The secret file is created readable by its owner alone: at no instant could others read it.

    Raises
    ------
    UsageError: a key of that name is there already, or the directory cannot be written.
    """
    if not name or name != Path(name).name or name.startswith("."):
        raise UsageError(
            f"a key is named like a file, without a directory or a first dot; not '{name}'"
        )
    public, secret = zmq.curve_keypair()
    secret_path = directory / f"{name}{SECRET_SUFFIX}"
    public_path = directory / f"{name}{PUBLIC_SUFFIX}"
    made: list[Path] = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(secret_path, _certificate(public, secret), 0o600)
        made.append(secret_path)
        _write_new(public_path, _certificate(public, None), 0o644)
    except OSError as error:
        for path in made:
            path.unlink()
        if isinstance(error, FileExistsError):
            raise UsageError(
                f"{error.filename} is there already and is never overwritten; choose another name"
                " or remove it first"
            ) from None
        raise UsageError(f"cannot write {error.filename}: {reason_of(error)}") from None
    return secret_path, public_path


def _certificate(public: bytes, secret: bytes | None) -> str:
    kind = (
        "public key: give it to the other side"
        if secret is None
        else "SECRET KEY: keep it to yourself"
    )
    lines = [f"# ErasureHead {kind}", "curve", f'    public-key = "{public.decode()}"']
    if secret is not None:
        lines.append(f'    secret-key = "{secret.decode()}"')
    return "\n".join(lines) + "\n"


def _write_new(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_secret(path: Path) -> KeyPair:
    """Return the key pair of a secret file.

    Others may not read it; a file of root's may be readable by its group, because that is how
    orchestrators hand secrets to a process that is not root.

    Raises
    ------
    UsageError: unreadable, readable by others, or not a secret key.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {reason_of(error)}") from None
    forbidden = stat.S_IRWXG | stat.S_IRWXO
    if status.st_uid == 0:
        forbidden &= ~stat.S_IRGRP
    if status.st_mode & forbidden:
        raise UsageError(
            f"the secret key {path} can be read or written by others (mode"
            f" {stat.S_IMODE(status.st_mode):04o}); run: chmod 600 {path}"
        )
    public, secret = _read(path)
    if secret is None:
        raise UsageError(
            f"{path} holds no secret key; expected the {SECRET_SUFFIX} file that"
            " 'erasurehead keys new' wrote"
        )
    return KeyPair(public, secret)


def read_public(path: Path) -> bytes:
    """Return the public key of a file.

    Raises
    ------
    UsageError: unreadable, or not a key.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except OSError as error:
        raise UsageError(f"cannot read the key {path}: {reason_of(error)}") from None
    except ValueError:
        public, secret = b"", None
    if len(public) != 40 or (secret is not None and len(secret) != 40):
        raise UsageError(
            f"{path} is not a key file; expected one that 'erasurehead keys new' wrote"
        )
    return public, secret


class AllowedKeys:
    """The public keys in a directory (``*.pub``), read again when something in it has changed.

    Attributes
    ----------
    names: Z85 text of each allowed key -> name of its file; replaced as a whole, never changed.

    Raises
    ------
    UsageError: the directory cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.names: Mapping[str, str] = {}
        self._seen: object = None
        self._complained = False
        try:
            self._reread()
        except OSError as error:
            raise UsageError(
                f"cannot read the directory of workers' keys {directory}: {reason_of(error)}"
            ) from None

    def refresh(self) -> frozenset[str]:
        """Look again; return the keys that were allowed before and no longer are.

        A directory that cannot be read (a mount that went away) changes nothing; an empty one
        allows no worker.
        """
        before = self.names
        try:
            self._reread()
            self._complained = False
        except OSError as error:
            if not self._complained:
                log.warning(
                    "cannot read %s (%s): the keys last seen stay allowed",
                    self.directory,
                    reason_of(error),
                )
            self._complained = True
        return frozenset(before.keys() - self.names.keys())

    def _reread(self) -> None:
        paths = sorted(p for p in self.directory.iterdir() if p.suffix == PUBLIC_SUFFIX)
        seen = []
        for path in paths:
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile, or a broken link
                status = path.stat()
                seen.append((path.name, status.st_ino, status.st_size, status.st_mtime_ns))
        if seen == self._seen:
            return
        names: dict[str, str] = {}
        for path in paths:
            try:
                names[read_public(path).decode()] = path.stem
            except UsageError as error:
                log.warning("a worker's key is left out: %s", error)
        self._seen = seen
        self.names = names


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """The master's own key pair and the workers it takes; how often it looks at their directory."""

    own: KeyPair
    allowed: AllowedKeys
    recheck_s: float = 1.0

    def put_on(self, socket: zmq.Socket[bytes]) -> None:
        """Make an unbound socket talk CURVE with allowed workers only.

        With the domain enforced libzmq refuses every peer while no gate answers for it; otherwise
        it would take any key.
        """
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.own.secret)
        socket.setsockopt(zmq.ZAP_DOMAIN, ZAP_DOMAIN)
        socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)


@dataclass(frozen=True, slots=True)
class WorkerKeys:
    """A worker's own key pair and the one master it trusts."""

    own: KeyPair
    master: bytes

    def put_on(self, socket: zmq.Socket[bytes]) -> None:
        """Make an unconnected socket talk CURVE with that master only."""
        socket.setsockopt(zmq.CURVE_PUBLICKEY, self.own.public)
        socket.setsockopt(zmq.CURVE_SECRETKEY, self.own.secret)
        socket.setsockopt(zmq.CURVE_SERVERKEY, self.master)
