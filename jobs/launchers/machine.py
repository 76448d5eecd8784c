"""What this machine, or the container that we are in, has for runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from jobs.launchers.api import Capacity

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def capacity(root: Path = _ROOT, own: Path = _OWN) -> Capacity:
    """Cores that we may run on and memory that is built in, or the control groups' limits.

    ``root`` is where control groups are mounted and ``own`` the file that names ours. A limit of
    any group above ours is one for us.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = [(cores or 1) * 1000]
    memory = [psutil.virtual_memory().total]
    for group in _groups(root, own):
        cpu.extend(_cpu_millis(group))
        memory.extend(_memory(group))
    return Capacity(cpu_millis=min(cpu), memory_bytes=min(memory))


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """The folders of our groups and of those above them, of both versions of control groups.

    Inside a container our group is often mounted as the root, by whatever name it has outside.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        bases = [root, root / "unified"]
        if controllers:
            bases = [root / controllers, *(root / name for name in controllers.split(","))]
        for base in bases:
            here = base / path.lstrip("/")
            yield from (each for each in (here, *here.parents) if each.is_relative_to(base))


def _cpu_millis(group: Path) -> Iterator[int]:
    quota, _, period = _text(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
    if quota.isdigit() and period.isdigit() and int(quota):
        yield max(int(quota) * 1000 // int(period), 1)


def _memory(group: Path) -> Iterator[int]:
    for name in ("memory.max", "memory.limit_in_bytes"):
        limit = _text(group / name)
        if limit.isdigit():
            yield int(limit)


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
