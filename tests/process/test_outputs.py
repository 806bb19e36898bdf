"""A file that a user names is never lost to a command's output."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from erasurehead.errors import UsageError
from erasurehead.process.outputs import write_output


def begins_well(file: BinaryIO) -> bool:
    return file.read(4) == b"OURS"


def write(path: Path, text: str = "OURS: new") -> None:
    write_output(path, "a list", begins_well, lambda file: file.write(text.encode()))


def test_a_new_file_an_empty_one_and_an_earlier_output_are_written(tmp_path: Path) -> None:
    new, empty, earlier = tmp_path / "a" / "new", tmp_path / "empty", tmp_path / "earlier"
    empty.write_text("")
    earlier.write_text("OURS: old and longer")
    for path in (new, empty, earlier):
        write(path)
        assert path.read_text() == "OURS: new"
        assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def test_anything_else_stays(tmp_path: Path) -> None:
    mine = tmp_path / "table.csv"
    mine.write_text("years of work")
    with pytest.raises(UsageError, match=r"table\.csv is there already and is not a list that"):
        write(mine)
    assert mine.read_text() == "years of work"
    with pytest.raises(UsageError, match="is a directory; name a file for a list with --out"):
        write(tmp_path)


def test_a_full_disk_keeps_the_earlier_output(tmp_path: Path) -> None:
    path = tmp_path / "list"
    write(path)

    def fill(file: BinaryIO) -> None:
        file.write(b"OURS: ha")
        raise OSError("12 requested and 0 written")  # as NumPy says it

    with pytest.raises(UsageError, match=r"to .*list: 12 requested and 0 written; make room, or"):
        write_output(path, "a list", begins_well, fill)
    assert path.read_text() == "OURS: new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_leads_to_the_new_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write(tmp_path / "link")
    assert (tmp_path / "target").read_text() == "OURS: new"
    assert (tmp_path / "link").is_symlink()


def test_standard_output_is_shared_with_what_is_printed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from erasurehead.process.outputs import write_output\n"
        "print('before')\n"
        "put = lambda file: file.write(b'list\\n')\n"
        "write_output(Path('/dev/stdout'), 'a list', lambda file: False, put)\n"
        "print('after')\n"
    )
    with (tmp_path / "told").open("wb") as file:
        subprocess.run([sys.executable, "-c", script], stdout=file, check=True)
    assert (tmp_path / "told").read_text() == "before\nlist\nafter\n"


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write(pipe)
    assert os.read(reader, 100) == b"OURS: new"
    os.close(reader)
