from __future__ import annotations

import os
import subprocess
import sys
import threading

from jobs.launchers.identity import group_alive, identity


def test_living_process_has_one_identity() -> None:
    assert identity(os.getpid()) is not None
    assert identity(os.getpid()) == identity(os.getpid())
    assert identity(os.getpid()) != identity(1)


def test_ended_process_has_none_not_even_as_a_zombie() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    for _ in range(500):
        if identity(process.pid) is None:
            break
        threading.Event().wait(0.01)
    assert identity(process.pid) is None
    process.wait()
    assert identity(process.pid) is None


def test_group_lives_as_long_as_a_member() -> None:
    process = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
    assert group_alive(process.pid)
    process.kill()
    process.wait()
    assert not group_alive(process.pid)
