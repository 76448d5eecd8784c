"""Which process a pid means, and how long ago something was: what no restart and no clock changes.

Pids are used again, a pid with its start time is not. Imported by the service and, as a plain file
beside it, by the warden, which starts without site-packages; so only the standard library is used
here.
"""

from __future__ import annotations

import os
import sys
import time

_LINUX: bool = sys.platform == "linux"


def moment() -> float:
    """Seconds on a clock that all processes of this machine share and nobody can set.

    On Linux it goes on while the machine sleeps. It begins anew with each boot.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if _LINUX else time.monotonic()


def identity(pid: int) -> str | None:
    """A text that no other process will ever have, or None where there is no such process.

    On Linux the boot and the start in clock ticks since it; elsewhere the start to the second. A
    zombie has none: it runs nothing.
    """
    if _LINUX:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        if fields[0] in (b"Z", b"X"):
            return None
        return f"{boot()}:{fields[19].decode()}"
    import subprocess  # noqa: PLC0415  half of the warden's start, and not needed on Linux

    listed = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        check=False,
        env={"LC_ALL": "C", "TZ": "UTC"},
    )
    state, _, started = listed.stdout.decode().strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()


def group_alive(group: int) -> bool:
    """Whether a process of the group still runs; zombies that nobody waits for do count."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS, when only zombies are left
        return False
    return True


def boot() -> str:
    """What tells this boot of the machine from all others; empty where that is not known."""
    if not _LINUX:
        return ""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
