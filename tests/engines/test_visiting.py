"""What visitors find, and under which address this machine is looked for."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from erasurehead.errors import BindError, UsageError
from erasurehead.process.version import installed_version
from erasurehead_engines.addresses import Place, host_towards
from erasurehead_engines.visiting import Doorbell, check_findings, make_visitor

LOOPBACK = Place("tcp://127.0.0.1:*", "127.0.0.1")


def test_a_visitor_reaches_the_doorbell_and_tells_its_version() -> None:
    with Doorbell(LOOPBACK) as visit:
        found = {"a": visit(), "b": visit()}
    assert found["a"] == {"version": installed_version(), "why": None}
    check_findings(found, "Dask", "127.0.0.1")
    assert visit()["why"] == "Connection refused"


def test_another_machine_of_that_address_is_not_taken_for_this_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        visit = make_visitor("127.0.0.1", stranger.getsockname()[1], b"token", 0.1)
        assert visit()["why"] == "timed out"
    with Doorbell(LOOPBACK) as visit:
        inner: Any = visit
        cells = dict(zip(inner.__code__.co_freevars, inner.__closure__, strict=True))
        other = make_visitor("127.0.0.1", cells["port"].cell_contents, b"other", 5.0)
        assert other()["why"] == "another machine has that address there"


@pytest.mark.parametrize(
    ("findings", "told"),
    [
        ({"version": None, "why": "x"}, "node 1 of Ray has no ErasureHead; install erasurehead"),
        ({"version": "0.0.1", "why": None}, "node 1 of Ray has ErasureHead 0.0.1 and this process"),
        (
            {"version": installed_version(), "why": "timed out"},
            "node 1 of Ray does not reach this process at 10.0.0.1: timed out; name an address",
        ),
    ],
)
def test_a_node_that_cannot_work_is_told_of(findings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_findings({"node 1": findings}, "Ray", "10.0.0.1")


def test_the_master_of_a_cluster_on_this_machine_stays_on_loopback() -> None:
    place = Place.of(None, ["127.0.0.1", "localhost"])
    assert place == LOOPBACK
    assert place.stays_here
    assert place.connect("tcp://127.0.0.1:4711") == "tcp://127.0.0.1:4711"
    assert Place.of(None, ["::1"]).stays_here


def test_a_user_names_the_address() -> None:
    place = Place.of("tcp://10.1.2.3:5577", ["10.1.2.9"])
    assert (place.host, place.stays_here) == ("10.1.2.3", False)
    everywhere = Place.of("tcp://0.0.0.0:5577", ["127.0.0.1"])
    assert everywhere.connect("tcp://0.0.0.0:5577") == "tcp://127.0.0.1:5577"
    assert not everywhere.stays_here
    in_brackets = Place.of("tcp://[::1]:*", [])
    assert in_brackets.connect("tcp://[::1]:9") == "tcp://[::1]:9"
    with in_brackets.listener() as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize(
    ("bind", "told"),
    [("here", "bind=here is no address"), ("ipc:///tmp/x", "is no address of TCP")],
)
def test_what_is_no_address_is_told(bind: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        Place.of(bind, [])


def test_an_address_that_is_not_this_machine_s_is_told() -> None:
    place = Place("tcp://192.0.2.1:*", "192.0.2.1")  # of no machine: for documentation
    with pytest.raises(BindError, match="cannot listen on tcp://192"), Doorbell(place):
        pass


def test_a_host_that_there_is_no_way_to_is_told() -> None:
    with pytest.raises(UsageError, match=r"knows no way to nowhere\.invalid"):
        host_towards(["nowhere.invalid"])
