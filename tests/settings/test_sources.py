"""What a configuration file may not say, and addresses that are none: one sentence each."""

from __future__ import annotations

from pathlib import Path

import pytest

from erasurehead.errors import UsageError
from erasurehead.settings.sources import load
from erasurehead.settings.tree import MasterSettings, RunSettings, WorkerSettings


def read(tmp_path: Path, text: str) -> RunSettings:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    return load(RunSettings, {"store": "s"}, config=file, environment={})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "coding:\n  workers: 3\n  tasks: 5\n  workers: 4\n",
            "'workers' is given twice, the second time",
        ),
        (
            "wire:\n  format: f8\n  format: f4\n",
            "'format' is given twice, .* in line 3",
        ),
        ("coding: {workers: yes}\n", r"setting 'coding.workers' = true from .* is no switch"),
        ("problem: {model: no}\n", r"setting 'problem.model' = false from .* is no switch"),
        ("coding: {workers: 2024-99-99}\n", r"is not YAML: month must be in 1..12"),
        ("wire: &a\n  format: *a\n", r"contains itself"),
        ("refit: &a\n  elastic: *a\n", r"contains itself"),
        ("run: {out: ''}\n", r"out is empty and names no directory; name one, or leave it out"),
        ("run: {resume: true}\n", r"resume goes on .* none is named; name it by --out"),
    ],
)
def test_a_file_that_says_too_much_or_nothing_sensible(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)


def test_what_yaml_reads_otherwise_than_it_was_meant(tmp_path: Path) -> None:
    """A step is a text that looks like a number; a switch is a switch."""
    settings = read(tmp_path, "descent: {step: 0.1}\nrefit: {elastic: yes}\n")
    assert settings.descent.step == "0.1"
    assert settings.refit.elastic


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:70000", "tcp://127.0.0.1", "127.0.0.1:5577", "tcp://:5577", "tcp://h:x", ""],
)
def test_addresses_that_are_none(address: str) -> None:
    for cls, name in ((MasterSettings, "bind"), (WorkerSettings, "connect")):
        given = {name: address} | ({"store": "s"} if name == "bind" else {})
        with pytest.raises(UsageError, match=rf"{name}={address} is no address; write tcp://host"):
            load(cls, given, environment={})


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:*", "tcp://[::1]:5577", "ipc:///tmp/x"])
def test_addresses_to_listen_on(address: str) -> None:
    assert load(MasterSettings, {"store": "s", "bind": address}, environment={}).bind == address


def test_a_worker_needs_a_port_of_its_master() -> None:
    for port in ("*", "0"):
        with pytest.raises(UsageError, match="is no address"):
            load(WorkerSettings, {"connect": f"tcp://h:{port}"}, environment={})


def test_variables_of_services_are_no_settings() -> None:
    """Kubernetes makes them of a Service named erasurehead-..., or erasurehead, for every pod."""
    made: dict[str, str] = {}
    for service in ("ERASUREHEAD_MASTER", "ERASUREHEAD"):
        made |= {
            f"{service}_SERVICE_HOST": "10.0.0.7",
            f"{service}_SERVICE_PORT": "5577",
            f"{service}_SERVICE_PORT_WIRE": "5577",
            f"{service}_PORT": "tcp://10.0.0.7:5577",
            f"{service}_PORT_5577_TCP": "tcp://10.0.0.7:5577",
            f"{service}_PORT_5577_TCP_PROTO": "tcp",
            f"{service}_PORT_5577_TCP_PORT": "5577",
            f"{service}_PORT_5577_TCP_ADDR": "10.0.0.7",
        }
    given = {"ERASUREHEAD_CONNECT": "tcp://10.0.0.7:5577"}
    assert load(WorkerSettings, {}, environment=made | given).connect == "tcp://10.0.0.7:5577"
    with pytest.raises(UsageError, match="ERASUREHEAD_MASTER_PORT"):
        load(WorkerSettings, {}, environment=given | {"ERASUREHEAD_MASTER_PORT": "1"})
