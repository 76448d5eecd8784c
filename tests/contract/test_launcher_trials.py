"""Services and wardens that die at random, again and again: nothing is left, and the ends are told.

``DLI_LAUNCHER_TRIALS`` is the number of rounds.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from jobs.launchers.api import RunState, RunStatus
from jobs.launchers.identity import moment
from jobs.launchers.local import LocalLauncher
from storage.base.ids import RunId
from tests.support.runs import SERVICE, STUBBORN, eventually, kill

ROUNDS = int(os.environ.get("DLI_LAUNCHER_TRIALS", "40"))
#: scripts with the exit code of one that is left alone; None: it does not end
SCRIPTS: dict[str, int | None] = {
    "echo $$; sleep 0.2; exit 7": 7,
    "echo $$; setsid sleep 1000 & exit 0": 0,
    "trap '' TERM; echo $$; while :; do sleep 0.05; done": None,
    f"exec {sys.executable} -S -c '{STUBBORN}'": None,
    "echo $$; (while :; do :; done) & sleep 1000": None,
}
BEAT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What happens to one run: in seconds after its launch, None: it does not."""

    script: str
    service_dies: float
    warden_dies: float | None
    stopped: bool  #: by the next service; else nobody renews the lease

    @classmethod
    def draw(cls, chance: random.Random) -> Round:
        script = chance.choice(list(SCRIPTS))
        # Who empties its environment is found if its warden saw it, a quarter of a second before.
        first = 0.6 if STUBBORN in script else 0.0
        return cls(
            script=script,
            service_dies=chance.uniform(0.0, 1.5),
            warden_dies=chance.uniform(first, 2.0) if chance.random() < 0.3 else None,
            stopped=chance.random() < 0.7,
        )


def marked(run_id: str) -> list[psutil.Process]:
    """All processes of the run that live, but those which emptied their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DLI_RUN_ID") == run_id:
                found.append(process)
        except psutil.Error:
            continue
    return found


def run(root: Path, name: str, drawn: Round) -> tuple[RunStatus, float]:
    """The status of the run at the end, and the longest that it may have lived."""
    began = moment()
    arguments = [str(root), "3", f"{name}={drawn.script}"]
    service = subprocess.Popen([sys.executable, "-c", SERVICE, *arguments])
    home = root / name
    eventually((home / "order.json").exists)
    threading.Event().wait(drawn.service_dies)
    kill(service)
    after = LocalLauncher(root)
    after.adopt(RunId(name))
    if drawn.warden_dies is not None:
        kill_warden(after, name, drawn.warden_dies)
    if drawn.stopped:
        after.stop(RunId(name), grace=timedelta(seconds=0.2))
    eventually(lambda: after.status(RunId(name)).state.ended)
    lived = moment() - began
    status = after.status(RunId(name))
    for line in after.logs(RunId(name)).data.split():
        eventually(lambda pid=int(line): not psutil.pid_exists(pid))  # type: ignore[misc]
    assert not marked(name)
    after.forget(RunId(name))
    return status, lived


def kill_warden(launcher: LocalLauncher, name: str, after: float) -> None:
    threading.Event().wait(after)
    facts = launcher.directory(RunId(name)).parent / "lock"
    holders = [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if str(facts.parent) in (process.info["cmdline"] or [])
    ]
    for pid in holders:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
def test_nothing_is_left_whoever_dies(tmp_path: Path) -> None:
    for number in range(ROUNDS):
        drawn = Round.draw(random.Random(number))
        status, lived = run(tmp_path, f"run_{number}", drawn)
        told = f"round {number}: {drawn} {status} {lived}"
        assert status.elapsed_seconds <= lived, told
        if status.state is RunState.GONE:
            assert drawn.warden_dies is not None or status.elapsed_seconds == 0.0, told
            assert status.reason in {"orphaned", "stopped"}, told
        elif status.reason is None:
            assert status.exit_code == SCRIPTS[drawn.script], told
        else:
            assert status.reason in {"stopped", "lease"}, told
            # It may have ended by itself between the warden's last look and the signal.
            itself = SCRIPTS[drawn.script]
            assert status.exit_code in {-signal.SIGKILL, -signal.SIGTERM, itself}, told
