from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from jobs.launchers.machine import capacity

GIB = 1 << 30


def group(root: Path, name: str, **files: str) -> None:
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / file.replace("__", ".")).write_text(text + "\n")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own"
    path.write_text("0::/pods/pod1\n")
    return path


def test_machine_without_control_groups_is_counted_whole(tmp_path: Path) -> None:
    found = capacity(tmp_path, tmp_path / "none")
    assert found.cpu_millis == len(os.sched_getaffinity(0)) * 1000
    assert found.memory_bytes == psutil.virtual_memory().total


def test_own_limits_are_met(tmp_path: Path, own: Path) -> None:
    group(tmp_path, "pods/pod1", cpu__max="50000 100000", memory__max=str(GIB))
    found = capacity(tmp_path, own)
    assert (found.cpu_millis, found.memory_bytes) == (500, GIB)


def test_limits_of_groups_above_are_met(tmp_path: Path, own: Path) -> None:
    group(tmp_path, "pods", memory__max=str(GIB // 2), cpu__max="max 100000")
    group(tmp_path, "pods/pod1", memory__max=str(GIB), cpu__max="70000 100000")
    found = capacity(tmp_path, own)
    assert (found.cpu_millis, found.memory_bytes) == (700, GIB // 2)


def test_group_that_is_mounted_as_root_is_met(tmp_path: Path, own: Path) -> None:
    group(tmp_path, ".", memory__max=str(GIB), cpu__max="10000 100000")
    assert capacity(tmp_path, own).cpu_millis == 100
    assert capacity(tmp_path, own).memory_bytes == GIB


def test_first_version_of_control_groups_is_met(tmp_path: Path, own: Path) -> None:
    own.write_text("4:memory:/a\n3:cpu,cpuacct:/b\n1:name=systemd:/\n")
    group(tmp_path, "memory/a", memory__limit_in_bytes=str(GIB))
    group(tmp_path, "cpu/b", cpu__cfs_quota_us="25000", cpu__cfs_period_us="100000")
    found = capacity(tmp_path, own)
    assert (found.cpu_millis, found.memory_bytes) == (250, GIB)


def test_no_limit_is_none(tmp_path: Path, own: Path) -> None:
    own.write_text("4:memory:/a\n3:cpu,cpuacct:/b\n")
    group(tmp_path, "memory/a", memory__limit_in_bytes="9223372036854771712")
    group(tmp_path, "cpu/b", cpu__cfs_quota_us="-1", cpu__cfs_period_us="100000")
    assert capacity(tmp_path, own) == capacity(tmp_path, tmp_path / "none")
