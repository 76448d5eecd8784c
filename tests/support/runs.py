"""Launchers with real processes, for the tests of what they promise."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from jobs.launchers.api import Launcher, RunSpec, RunStatus
from jobs.launchers.fleet import Fleet
from jobs.launchers.local import LocalLauncher
from jobs.lifecycle.runs import run_in
from storage.base.ids import RunId, new_id

LAUNCHERS: dict[str, Callable[[Path], Launcher]] = {"local": LocalLauncher}
NOW = timedelta(0)
IMAGE_PYTHON = "/opt/dli/bin/python"

#: Prints its own pid and that of a descendant which left by two forks, a session of its own and an
#: empty environment. Neither hears SIGTERM.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        script = "echo $$; while :; do sleep 1000; done"
        os.execve("/bin/sh", ["sh", "-c", script], {"PATH": "/usr/bin:/bin"})
    os._exit(0)
while True:
    time.sleep(1000)
"""
#: A service that launches what it is told (``name=script`` each), with a lease of so many seconds
#: or none (0), and then does nothing.
SERVICE = """
import sys, threading
from datetime import timedelta
from pathlib import Path
from jobs.launchers.api import RunSpec
from jobs.launchers.local import LocalLauncher
launcher = LocalLauncher(Path(sys.argv[1]))
lease = timedelta(seconds=float(sys.argv[2])) if float(sys.argv[2]) else None
for each in sys.argv[3:]:
    name, _, script = each.partition("=")
    launcher.launch(RunSpec(run_id=name, command=("/bin/sh", "-c", script), lease=lease,
                            grace=timedelta(seconds=0.5), environment={"PATH": "/usr/bin:/bin"},
                            directory=launcher.directory(name)))
threading.Event().wait()
"""


def service(root: Path, lease: float, **scripts: str) -> subprocess.Popen[bytes]:
    """A process of its own that launched ``scripts``, by the names of their runs, below ``root``.

    Returns when all of them have written a line.
    """
    named = [f"{name}={script}" for name, script in scripts.items()]
    process = subprocess.Popen([sys.executable, "-c", SERVICE, str(root), str(lease), *named])
    eventually(lambda: all((root / name / "started.json").exists() for name in scripts))
    after = LocalLauncher(root)
    for name in scripts:
        begun(after, RunId(name))
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def spec(launcher: Launcher, script: str, **more: object) -> RunSpec:
    """Of a run that has a fleet's last cluster for its own."""
    run_id = RunId(new_id("run", datetime.now(UTC)))
    if isinstance(launcher, Fleet):
        run_id = run_in(run_id, launcher.clusters[-1])
    values = {
        "run_id": run_id,
        "command": ("/bin/sh", "-c", script),
        "directory": launcher.directory(run_id),
        "environment": {"PATH": os.environ["PATH"], "SECRET": "hush"},
        **more,
    }
    return RunSpec(**values)  # type: ignore[arg-type]


def eventually(holds: Callable[[], object], seconds: float = 180.0) -> None:
    pause, end = threading.Event(), time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "never came about"
        pause.wait(0.01)


def hold(pid: int) -> psutil.Process:
    """Stop the process until it is told to go on. A busy machine does so a while after the signal.

    On macOS a stopped process may show as another state, and stops at once.
    """
    process = psutil.Process(pid)
    process.send_signal(signal.SIGSTOP)
    if sys.platform == "linux":
        eventually(lambda: process.status() == psutil.STATUS_STOPPED)
    return process


def ended(launcher: Launcher, run_id: RunId) -> RunStatus:
    eventually(lambda: launcher.status(run_id).state.ended)
    return launcher.status(run_id)


def begun(launcher: Launcher, run_id: RunId) -> int:
    """Wait for the first output, which is a pid."""
    return pids(launcher, run_id, 1)[0]


def pids(launcher: Launcher, run_id: RunId, count: int) -> list[int]:
    """Wait for that many lines of output, all pids."""
    read: list[bytes] = []  # once: of a pod that is held up, the next look may find nothing for now

    def there() -> bool:
        read[:] = [launcher.logs(run_id).data]
        return read[0].count(b"\n") >= count

    eventually(there)
    return [int(line) for line in read[0].split()]


def python(launcher: Launcher) -> str:
    """The Python of the launcher's runs."""
    return sys.executable if isinstance(launcher, LocalLauncher | Fleet) else IMAGE_PYTHON


def lives(launcher: Launcher, run_id: RunId, pid: int) -> bool:
    """Whether the process of a run does; one of a pod ends with the pod's first at the latest."""
    if isinstance(launcher, LocalLauncher | Fleet):
        return alive(pid)
    return not launcher.status(run_id).state.ended


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def warden(launcher: Launcher, run_id: RunId) -> int:
    """The pid of a local run's warden."""
    facts = json.loads((launcher.directory(run_id).parent / "started.json").read_bytes())
    return int(facts["warden"])
