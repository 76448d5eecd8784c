"""What the machine says about a service: its processes, and whether they compute."""

from __future__ import annotations

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


def await_that(fact: Callable[[], bool], *, seconds: float, every: float = 0.05) -> bool:
    """Whether the fact came true in time."""
    until = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > until:
            return False
        pause(every)
    return True
