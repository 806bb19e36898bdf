"""Keys: files that only their owner reads, and a directory that says who may come."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import zmq.auth

from erasurehead.errors import UsageError
from erasurehead.network.addresses import stays_on_this_machine
from erasurehead.network.curve import AllowedKeys, make_keys, read_public, read_secret
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, WorkerSettings
from erasurehead_cli.main import main


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_is_a_pair_that_zeromq_itself_can_read(tmp_path: Path) -> None:
    secret, public = make_keys(tmp_path / "keys", "worker-3")
    pair = read_secret(secret)
    assert zmq.curve_public(pair.secret) == pair.public == read_public(public)
    assert zmq.auth.load_certificate(secret) == (pair.public, pair.secret)
    assert zmq.auth.load_certificate(public) == (pair.public, None)
    assert pair.secret.decode() not in public.read_text()
    assert pair.secret.decode() not in repr(pair)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_secret_file_is_born_private(
    tmp_path: Path, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the umask, and at the moment of its creation, not some time after."""
    born = []
    really_open = os.open

    def watched(path: str, flags: int, *arguments: int) -> int:
        descriptor = really_open(path, flags, *arguments)
        born.append((Path(path).suffix, stat.S_IMODE(os.fstat(descriptor).st_mode)))
        return descriptor

    before = os.umask(umask)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", watched)
            secret, public = make_keys(tmp_path, "x")
    finally:
        os.umask(before)
    assert dict(born)[".key"] == mode(secret) == 0o600
    assert mode(public) == 0o644 & ~umask


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    secret, public = make_keys(tmp_path, "x")
    kept = secret.read_bytes(), public.read_bytes()
    with pytest.raises(UsageError, match="is there already"):
        make_keys(tmp_path, "x")
    secret.unlink()
    with pytest.raises(UsageError, match="is there already"):
        make_keys(tmp_path, "x")  # would not fit the public half that somebody may have
    assert not secret.exists()
    assert public.read_bytes() == kept[1]


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "/etc/x"])
def test_a_key_is_named_like_a_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="named like a file"):
        make_keys(tmp_path, name)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o602, 0o644, 0o666])
def test_a_secret_that_others_can_read_is_refused(
    tmp_path: Path, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _ = make_keys(tmp_path, "x")
    secret.chmod(bits)
    pretend_owner(monkeypatch, 1000)
    with pytest.raises(UsageError, match=rf"mode {bits:04o}\); run: chmod 600 {secret}") as refused:
        read_secret(secret)
    assert "\n" not in str(refused.value)


def test_roots_secret_may_be_readable_by_its_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An orchestrator hands secrets to a process that is not root as files of root's, mode 0440."""
    secret, _ = make_keys(tmp_path, "x")
    secret.chmod(0o440)
    pretend_owner(monkeypatch, 0)
    read_secret(secret)
    secret.chmod(0o444)
    with pytest.raises(UsageError, match="mode 0444"):
        read_secret(secret)


def pretend_owner(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    really_stat = Path.stat

    def stat_as(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        found = really_stat(path, follow_symlinks=follow_symlinks)
        return os.stat_result((*found[:4], uid, *found[5:10]))

    monkeypatch.setattr(Path, "stat", stat_as)


def test_what_is_no_key_is_refused_in_one_sentence(tmp_path: Path) -> None:
    secret, public = make_keys(tmp_path, "x")
    other = tmp_path / "other"
    other.write_text("curve\n    public-key = 'short'\n")
    other.chmod(0o600)
    for read, path, words in [
        (read_secret, tmp_path / "missing", "No such file"),
        (read_public, tmp_path / "missing", "cannot read"),
        (read_public, other, "is not a key file"),
        (read_secret, other, "is not a key file"),
    ]:
        with pytest.raises(UsageError, match=words) as refused:
            read(path)
        assert "\n" not in str(refused.value)
    public.chmod(0o600)
    with pytest.raises(UsageError, match="holds no secret key"):
        read_secret(public)
    assert read_public(secret) == read_public(public)


def test_taking_a_file_out_revokes_and_putting_it_back_allows(tmp_path: Path) -> None:
    made = {name: make_keys(tmp_path / "made", name) for name in ("a", "b")}
    keys = {name: read_public(public).decode() for name, (_, public) in made.items()}
    directory = tmp_path / "allowed"
    directory.mkdir()
    (directory / "a.pub").write_bytes(made["a"][1].read_bytes())
    (directory / "README").write_text("not a key")
    allowed = AllowedKeys(directory)
    assert dict(allowed.names) == {keys["a"]: "a"}
    assert allowed.refresh() == frozenset()
    (directory / "b.pub").write_bytes(made["b"][1].read_bytes())
    (directory / "a.pub").unlink()
    assert allowed.refresh() == {keys["a"]}
    assert dict(allowed.names) == {keys["b"]: "b"}
    (directory / "b.pub").write_text("damaged")
    assert allowed.refresh() == {keys["b"]}
    assert not allowed.names
    (directory / "a.pub").write_bytes(made["a"][1].read_bytes())
    (directory / "broken.pub").symlink_to(directory / "nowhere")
    assert allowed.refresh() == frozenset()
    assert dict(allowed.names) == {keys["a"]: "a"}


def test_a_directory_that_goes_away_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A mount that blinks must not end a run; an empty directory does revoke everybody."""
    directory = tmp_path / "allowed"
    _, public = make_keys(directory, "a")
    allowed = AllowedKeys(directory)
    directory.rename(tmp_path / "elsewhere")
    assert allowed.refresh() == allowed.refresh() == frozenset()
    assert len(allowed.names) == 1
    assert len([r for r in caplog.records if "cannot read" in r.message]) == 1
    directory.mkdir()
    assert len(allowed.refresh()) == 1
    assert not allowed.names
    with pytest.raises(UsageError, match="directory of workers' keys"):
        AllowedKeys(tmp_path / "nowhere")
    assert public.parent == directory


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("tcp://127.0.0.1:5577", True),
        ("tcp://127.8.9.1:*", True),
        ("tcp://[::1]:5577", True),
        ("tcp://localhost:5577", True),
        ("ipc:///tmp/x", True),
        ("inproc://x", True),
        ("tcp://0.0.0.0:5577", False),
        ("tcp://*:5577", False),
        ("tcp://[::]:5577", False),
        ("tcp://10.1.2.3:5577", False),
        ("tcp://eth0:5577", False),
        ("tcp://127.evil.example:5577", False),
        ("udp://127.0.0.1:1", False),
        ("nonsense", False),
    ],
)
def test_which_addresses_others_can_reach(address: str, expected: bool) -> None:
    assert stays_on_this_machine(address) is expected


def test_an_open_door_must_be_asked_for() -> None:
    def settings(**given: object) -> MasterSettings:
        return load(MasterSettings, {"store": "s", **given}, environment={})

    with pytest.raises(UsageError, match=r"keys new.*--insecure"):
        settings(bind="tcp://*:5577")
    assert settings(bind="tcp://*:5577", insecure=True).insecure
    assert settings(bind="tcp://*:5577", keys={"secret": "m.key", "workers": "allowed"})
    assert settings(bind="ipc:///tmp/x")
    with pytest.raises(UsageError, match="contradict"):
        settings(insecure=True, keys={"secret": "m.key", "workers": "allowed"})
    with pytest.raises(UsageError, match="belong together"):
        settings(keys={"secret": "m.key"})
    with pytest.raises(UsageError, match="belong together"):
        load(WorkerSettings, {"keys": {"master": "m.pub"}}, environment={})


def test_the_command_makes_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", str(tmp_path / "keys"), "master"]) == 0
    told = capsys.readouterr().out
    assert str(tmp_path / "keys" / "master.key") in told
    assert read_secret(tmp_path / "keys" / "master.key").secret.decode() not in told
    assert main(["keys", "new", str(tmp_path / "keys"), "master"]) == 2
    assert "never overwritten" in capsys.readouterr().err
