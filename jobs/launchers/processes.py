"""All processes below one: what they use, and how to end them.

On Linux a warden inherits what double-forks away from its command, so that everything a run started
is below its warden. Only the standard library, as in ``identity``.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import NamedTuple

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Whether ``tree`` finds all that a warden's command started: where ``/proc`` shows children, and
#: so what lost its parent is below the warden.
COMPLETE = os.path.exists(f"/proc/self/task/{os.getpid()}/children")


class Process(NamedTuple):
    """One process. ``start`` tells it from others with its pid; ``reaped`` is the CPU of its
    children that have ended, as far as it waited for them. CPU is in seconds."""

    pid: int
    start: str
    rss: int  #: bytes; 0 of a zombie
    cpu: float
    reaped: float


def tree(root: int) -> list[Process]:
    """Everything below ``root``, parents before their children; ``root`` itself is not in it.

    One that is forked while we look may be missed: who must be sure looks again.
    """
    if not COMPLETE:
        return _listed(root)
    found: list[Process] = []
    parents = [root]
    while parents:
        for pid in _children(parents.pop()):
            process = look(pid)
            if process is not None:
                found.append(process)
                parents.append(pid)
    return found


def look(pid: int) -> Process | None:
    """The process of this pid; None where there is none, or no ``/proc``."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    user, system, reaped_user, reaped_system = (int(field) for field in fields[11:15])
    return Process(
        pid=pid,
        start=fields[19].decode(),
        rss=int(fields[21]) * _PAGE,
        cpu=(user + system) / _TICK,
        reaped=(reaped_user + reaped_system) / _TICK,
    )


def memory(processes: list[Process], limit: int | None) -> int:
    """Bytes that ``processes`` occupy together.

    The sum counts what they share more than once. Where that would be above ``limit``, pages that
    are shared are counted by share, which is exact and takes the kernel long.
    """
    occupied = sum(process.rss for process in processes)
    if limit is None or occupied <= limit or len(processes) < 2:
        return occupied
    return sum(_proportional(process) for process in processes)


def kill_all(processes: list[Process]) -> None:
    """SIGKILL for each; all are stopped first, so that none can fork in the meantime."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in processes:
            send(process.pid, number)


def send(pid: int, number: int) -> None:
    """The signal, to a process that may be gone or not be ours."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def program(pid: int) -> str:
    """The path of what the process executes; empty where that is not known."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _children(pid: int) -> list[int]:
    """The direct children, which are listed by the thread that forked them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found.extend(int(child) for child in file.read().split())
    return found


def _proportional(process: Process) -> int:
    try:
        with open(f"/proc/{process.pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # not ours to look at, or just ended
        return process.rss
    return process.rss


def _listed(root: int) -> list[Process]:
    """``tree`` by ``ps``, where the kernel shows no files of processes."""
    import subprocess  # noqa: PLC0415  half of the warden's start, and not needed on Linux

    columns = "pid=,ppid=,rss=,time=,lstart="
    listing = subprocess.Popen(
        ["/bin/ps", "-axo", columns], stdout=subprocess.PIPE, env={"LC_ALL": "C", "TZ": "UTC"}
    )
    listed = listing.communicate()[0].decode()
    below: dict[int, list[Process]] = {}
    for line in listed.splitlines():
        pid, parent, kib, spent, start = line.split(None, 4)
        process = Process(int(pid), start.strip(), int(kib) * 1024, _seconds(spent), 0.0)
        if process.pid != listing.pid:
            below.setdefault(int(parent), []).append(process)
    found: list[Process] = []
    parents = [root]
    while parents:
        children = below.get(parents.pop(), [])
        found.extend(children)
        parents.extend(child.pid for child in children)
    return found


def _seconds(spent: str) -> float:
    """``[days-][hours:]minutes:seconds`` as seconds."""
    days, _, rest = spent.rpartition("-")
    seconds = 0.0
    for part in rest.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86400 * int(days or 0)
