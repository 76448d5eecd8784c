"""A home belongs to one service at a time, and its secrets to its owner."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from dli.home import (
    HomeInUseError,
    HomeUnusableError,
    administrator_secret,
    locked_home,
    write_private,
)


def test_a_second_service_is_told_who_has_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    told = pytest.raises(HomeInUseError, match=f"process {os.getpid()}")
    with locked_home(home), told, locked_home(home):
        raise AssertionError("two services on one home")
    with locked_home(tmp_path / "home") as again:
        assert again.is_dir()


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from dli.home import locked_home\n"
        "locked_home(Path(sys.argv[1])).__enter__(); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == 9
    with locked_home(tmp_path):
        pass


def test_a_home_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusableError, match="cannot be used"):
        locked_home(tmp_path / "file" / "home").__enter__()


def test_the_secret_is_made_once_and_private(tmp_path: Path) -> None:
    first = administrator_secret(tmp_path)
    assert administrator_secret(tmp_path) == first
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("old")
    path.chmod(0o644)
    (tmp_path / ".url.new").write_text("left over by a crash")
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["url"]
