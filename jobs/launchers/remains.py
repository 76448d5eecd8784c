"""What is left of a local run whose warden died: found and killed.

Found by the group of the command, by what the warden saw last, and by the run's id in the
environment, which a process has unless it emptied it; with everything below them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil

from jobs.launchers import facts, processes
from jobs.launchers.identity import boot, identity
from storage.base.ids import RunId

log = logging.getLogger(__name__)

MARK = "DLI_RUN_ID"  # in the environment of each process of a run

_DYING = 5.0  # seconds from SIGKILL to the end of a process
_ROUNDS = 5  # in which what was left is killed


def clear(home: str, run_id: RunId) -> bool:
    """Kill what a dead warden left, and write down that there is nothing more.

    False: something cannot be killed. The caller has the run's lock.
    """
    if facts.read(home, "exited.json") or facts.read(home, "gone.json"):
        return True
    stop = facts.read(home, "stop")
    reason = "orphaned" if stop is None else stop["reason"]
    if facts.read(home, "started.json") is not None:
        log.warning("a warden died before its run", extra={"run": run_id})
        rounds = 0
        while _sweep(home, run_id):
            rounds += 1
            if rounds > _ROUNDS:
                log.error("a process cannot be killed", extra={"run": run_id})
                return False
    try:
        facts.write(home, "gone.json", {"reason": reason})
    except OSError as error:  # a full disk: who asks next sweeps again
        log.warning("no word of the end", extra={"run": run_id, "reason": error.strerror})
    return True


def is_still(started: dict[str, Any], which: str) -> bool:
    """Whether the process that the facts name (``pid`` or ``warden``) still runs, and is it."""
    return bool(identity(started[which]) == started[f"{which}_identity"])


def until(done: Callable[[], bool], seconds: float) -> bool:
    """Look 50 times a second until ``done()`` or the time is over; whether it was done."""
    pause, end = threading.Event(), time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        pause.wait(0.02)
    return True


def _sweep(home: str, run_id: RunId) -> bool:
    """One round of killing; whether there was something."""
    started = facts.read(home, "started.json")
    beat = facts.read(home, "beat.json") or {"boot": None, "processes": []}
    seen = {tuple(each) for each in beat["processes"]} if beat["boot"] == boot() else set()
    found: dict[int, processes.Process] = {}
    for process in psutil.process_iter():
        look = processes.look(process.pid) or processes.Process(process.pid, "", 0, 0.0, 0.0)
        if (look.pid, look.start) in seen or _mark(process) == run_id:
            found |= {each.pid: each for each in (look, *processes.tree(look.pid))}
    if started is not None and is_still(started, "pid"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(started["pid"], signal.SIGKILL)
    alive = [each for each in found.values() if _lives(each)]
    processes.kill_all(alive)
    until(lambda: not any(_lives(each) for each in alive), _DYING)
    return bool(alive)


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except psutil.Error:
        return None


def _lives(process: processes.Process) -> bool:
    now = processes.look(process.pid)
    same = now is None or now.start == process.start
    return same and identity(process.pid) is not None
