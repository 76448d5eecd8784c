from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from jobs.launchers.pod.tars import Tar, below, unpack


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 1 << 20])
def test_length_is_known_before(tmp_path: Path, size: int) -> None:
    long = "x" * 120
    (tmp_path / long).write_bytes(bytes(size))
    (tmp_path / "ünicode").write_bytes(b"1")
    tar = Tar(below(str(tmp_path), str(tmp_path.parent)))
    data = b"".join(tar)
    assert len(data) == tar.length
    with tarfile.open(fileobj=io.BytesIO(data)) as read:
        assert read.getmember(f"{tmp_path.name}/{long}").size == size
        assert f"{tmp_path.name}/ünicode" in read.getnames()


def test_what_went_in_comes_out(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "a" / "b").mkdir(parents=True)
    (source / "a" / "program").write_bytes(b"#!/bin/sh")
    (source / "a" / "program").chmod(0o755)
    (source / "link").symlink_to("/etc/passwd")
    with tarfile.open(fileobj=io.BytesIO(b"".join(Tar(below(str(source), str(source)))))) as tar:
        unpack(tar, str(target))
    assert (target / "a" / "b").is_dir()
    assert (target / "a" / "program").read_bytes() == b"#!/bin/sh"
    assert os.access(target / "a" / "program", os.X_OK)
    assert not (target / "link").is_symlink()


def test_nothing_is_no_members(tmp_path: Path) -> None:
    assert not list(below(str(tmp_path / "none"), str(tmp_path)))


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "a/b/../../../out"])
def test_nothing_comes_to_lie_outside(tmp_path: Path, name: str) -> None:
    unpack(_made(tarfile.TarInfo(name)), str(tmp_path / "target"))
    assert not (tmp_path / "out").exists()
    assert not Path("/out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("strange")
    info.type, info.linkname = kind, "/etc/passwd"
    unpack(_made(info), str(tmp_path))
    assert not os.path.lexists(tmp_path / "strange")


def test_names_can_be_left_out(tmp_path: Path) -> None:
    unpack(_made(tarfile.TarInfo("./exited.json")), str(tmp_path), without={"exited.json"})
    assert not list(tmp_path.iterdir())


def _made(info: tarfile.TarInfo) -> tarfile.TarFile:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        tar.addfile(info)
    return tarfile.open(fileobj=io.BytesIO(target.getvalue()))
