"""What a run uses, measured by its warden, and whether that is more than it may.

Only the standard library, as in ``identity``.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import processes  # type: ignore[import-not-found]
from identity import moment  # type: ignore[import-not-found]

_SHARE = 0.01  # of a core, that looking may cost
_SAMPLE = 0.25  # seconds between two looks at the processes, at least
#: What looking costs, in seconds: the CPU's, since on a busy machine a look may take long and cost
#: nothing. Where another process looks for us, its CPU is not seen.
_cost = time.thread_time if processes.COMPLETE else moment
#: Of our own control group, as a container sees it, of both versions of control groups.
_KILLS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


class Watcher:
    """What a run uses, and whether that is more than it may."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._memory: int | None = order["memory_bytes"]
        self._output: int | None = order["max_output_bytes"]
        self._stdout: str | None = order["stdout"]
        self._directory: str = order["directory"]
        self._given = _size(self._directory) if self._output is not None else 0
        self._measure_at = 0.0
        self._contained: bool = order.get("contained", False)
        self._killed = _kernel_kills() if self._contained else 0
        self._peak = 0
        self._spent: dict[tuple[int, str], float] = {}  # CPU of those that live
        self._spent_before = 0.0  # of those that we saw, and that have ended
        self._waited_for = 0.0  # of what lives and what was waited for, seen or not
        self.seen: list[tuple[int, str]] = []  #: pids with their starts
        self.due = moment()  #: when to look next

    def look(self) -> str | None:
        """Measure; the reason to end the run, if there is one."""
        began = _cost()
        try:
            return self._measure()
        finally:
            self.due = moment() + max(_SAMPLE, (_cost() - began) / _SHARE)

    def _measure(self) -> str | None:
        found = processes.tree(os.getpid())
        self.seen = [(process.pid, process.start) for process in found]
        self._count(found)
        occupied = processes.memory(found, self._memory)
        self._peak = max(self._peak, occupied)
        if self._memory is not None and occupied > self._memory:
            return "memory"
        if self._contained and _kernel_kills() > self._killed:
            self._peak = max(self._peak, self._memory or 0)  # it was there between two looks
            return "memory"
        return "output" if self._writes_too_much() else None

    def overwritten(self) -> bool:
        """At the end: whether it wrote more than it may."""
        self._measure_at = 0.0
        return self._writes_too_much()

    def used(self, *, final: bool) -> dict[str, Any]:
        """CPU seconds and peak bytes. At the end the kernel knows of those that we never saw."""
        cpu = max(self._spent_before + sum(self._spent.values()), self._waited_for)
        if not final:
            return {"cpu": cpu, "peak": self._peak}
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        unit = 1 if sys.platform == "darwin" else 1024
        return {
            "cpu": max(cpu, reaped.ru_utime + reaped.ru_stime),
            "peak": max(self._peak, reaped.ru_maxrss * unit),
        }

    def _count(self, found: list[processes.Process]) -> None:
        """CPU by two ways, since neither sees all: a parent may not wait for its children, and a
        process may live between two looks."""
        living = {(each.pid, each.start): each.cpu for each in found}
        self._spent_before += sum(cpu for key, cpu in self._spent.items() if key not in living)
        self._spent = living
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        below = sum(each.cpu + each.reaped for each in found)
        self._waited_for = max(self._waited_for, ours.ru_utime + ours.ru_stime + below)

    def _writes_too_much(self) -> bool:
        if self._output is None:
            return False
        if self._stdout is not None:
            with contextlib.suppress(OSError):
                if os.stat(self._stdout).st_size > self._output:
                    return True
        if moment() < self._measure_at:
            return False
        began = moment()
        written = _size(self._directory) - self._given
        now = moment()  # by the clock: while a slow disk is asked nothing else is watched
        self._measure_at = now + max(1.0, (now - began) / _SHARE)
        return written > self._output


def _kernel_kills() -> int:
    """How many processes of our container the kernel killed for its memory.

    It takes one, mostly the largest, and lets the others wait for it for ever.
    """
    for path in _KILLS:
        with contextlib.suppress(OSError, ValueError), open(path) as file:
            counts = dict(line.split() for line in file if len(line.split()) == 2)
            return int(counts.get("oom_kill", "0"))
    return 0


def _size(directory: str) -> int:
    """Bytes of all files below; links are not followed, what vanishes meanwhile counts nothing."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(OSError):
                file = os.lstat(os.path.join(folder, name))
                total += min(file.st_size, file.st_blocks * 512)  # a hole takes no place
    return total
