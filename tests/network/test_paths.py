"""Masters on one path: the first keeps it while it lives, and nobody keeps it afterwards."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import zmq

from erasurehead.errors import EXIT_CANNOT_BIND, BindError
from erasurehead.network import sockets


def bind(context: zmq.Context[zmq.Socket[bytes]], path: Path) -> zmq.Socket[bytes]:
    return sockets.bind_router(context, f"ipc://{path}", high_water_mark=8, max_frame_bytes=1 << 20)


def test_a_path_is_kept_while_somebody_listens_there(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    with zmq.Context() as context, bind(context, path):
        with pytest.raises(BindError, match="another process listens there") as caught:
            bind(context, path)
        assert caught.value.exit_code == EXIT_CANNOT_BIND
    with zmq.Context() as context, bind(context, path):
        pass


def test_the_path_of_a_dead_master_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        left.listen()
    assert path.exists()
    with zmq.Context() as context, bind(context, path):
        pass


def test_a_file_is_not_replaced_by_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with zmq.Context() as context, pytest.raises(BindError, match="another kind of file"):
        bind(context, path)
    assert path.read_text() == "mine"
