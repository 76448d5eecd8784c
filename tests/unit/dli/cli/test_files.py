"""A file appears whole or not at all, and nothing else is replaced by one."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from dli.cli.files import copy_pieces, whole_file
from dli.cli.session import UsageError


def test_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_broken_file_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), whole_file(path) as file:
        file.write("half")  # type: ignore[call-overload]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_where_no_file_can_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        copy_pieces([b"new"], tmp_path / "none" / "a.csv")
    with pytest.raises(UsageError, match="is a folder"):
        copy_pieces([b"new"], tmp_path)


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    link, real = tmp_path / "link", tmp_path / "real"
    link.symlink_to(real)
    copy_pieces([b"ne", b"w"], link)
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    copy_pieces([b"ne", b"w"], pipe)
    reader.join(60)
    assert found == [b"new"]
    assert pipe.is_fifo()
