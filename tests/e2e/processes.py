"""What the machine says about a service: its processes, and whether they compute."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

from benchmarks.service import pause


def of_home(home: Path) -> list[psutil.Process]:
    """Every process that works in this home or names it, also one that has lost its parent."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = " ".join([*process.cmdline(), process.cwd()])
            settings = process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if str(home) in words or settings.get("DLI_HOME") == str(home):
            found.append(process)
    return found


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU that these processes have used so far."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def load_of(processes: Sequence[psutil.Process], seconds: float = 1.0) -> float:
    """How many cores they keep busy, over ``seconds``; what has ended keeps none."""
    before, began = cpu_seconds(processes), time.monotonic()
    pause(seconds)
    return max(cpu_seconds(processes) - before, 0.0) / (time.monotonic() - began)


def load_of_tasks(process: psutil.Process, seconds: float = 1.0) -> float:
    """How many cores the tasks of a Spark keep busy: not its compiler, collector and pages.

    The kernel tells threads by name on Linux only; elsewhere it is the whole process.
    """
    if not sys.platform.startswith("linux"):
        return load_of([process], seconds)
    before, began = _tasks_cpu(process), time.monotonic()
    pause(seconds)
    after = _tasks_cpu(process)
    used = sum(after[thread] - before.get(thread, after[thread]) for thread in after)
    return used / (time.monotonic() - began)


def _tasks_cpu(process: psutil.Process) -> dict[int, float]:
    """CPU of the threads that run tasks, by thread; none of a process that has ended."""
    found = {}
    try:
        for thread in process.threads():
            name = Path(f"/proc/{process.pid}/task/{thread.id}/comm")
            with contextlib.suppress(OSError):  # it ended meanwhile
                if name.read_text().startswith("Executor task"):
                    found[thread.id] = thread.user_time + thread.system_time
    except psutil.NoSuchProcess:
        return {}
    return found


def await_that(fact: Callable[[], bool], *, seconds: float, every: float = 0.05) -> bool:
    """Whether the fact came true in time."""
    until = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > until:
            return False
        pause(every)
    return True
