from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from jobs.launchers import processes

HOLD = "import time, sys; kept = bytearray(50 << 20); print('held', flush=True); time.sleep(1000)"


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    """A shell with a child that has a child of its own; it has written a line."""
    script = "(/bin/sleep 1000 & echo begun; wait) & wait"
    process = subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    processes.kill_all(processes.tree(process.pid))
    process.kill()
    process.wait()
    process.stdout.close()


def test_tree_is_all_below_with_parents_first(family: subprocess.Popen[bytes]) -> None:
    found = processes.tree(family.pid)
    assert len(found) == 2
    assert family.pid not in [process.pid for process in found]
    assert [each.pid for each in processes.tree(found[0].pid)] == [found[1].pid]


def test_tree_by_ps_is_the_same(family: subprocess.Popen[bytes]) -> None:
    listed = {process.pid for process in processes._listed(family.pid)}
    assert listed == {process.pid for process in processes.tree(family.pid)}


def test_tree_by_ps_leaves_out_ps() -> None:
    """Of a process of its own: below this one others may come and go."""
    script = "import os; from jobs.launchers.processes import _listed; print(_listed(os.getpid()))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert told.stdout == b"[]\n"


@pytest.mark.parametrize(
    ("text", "seconds"), [("0:01.50", 1.5), ("01:02:03", 3723.0), ("2-00:00:01", 172801.0)]
)
def test_times_of_ps_are_seconds(text: str, seconds: float) -> None:
    assert processes._seconds(text) == seconds


def test_look_measures_memory_and_cpu() -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", HOLD], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    found = processes.look(process.pid)
    assert found is not None
    assert found.rss > 50 << 20
    assert found.cpu > 0
    process.kill()
    process.wait()
    process.stdout.close()
    assert processes.look(process.pid) is None


def test_memory_below_its_limit_is_the_plain_sum() -> None:
    one = processes.Process(pid=os.getpid(), start="1", rss=100, cpu=0.0, reaped=0.0)
    assert processes.memory([one, one], None) == 200
    assert processes.memory([one, one], 200) == 200
    assert processes.memory([one], 10) == 100


def test_memory_above_its_limit_is_shared_out() -> None:
    ours = processes.look(os.getpid())
    assert ours is not None
    assert 0 < processes.memory([ours, ours], 1) < 2 * ours.rss + 1
    gone = processes.Process(pid=2**22 + 1, start="1", rss=100, cpu=0.0, reaped=0.0)
    assert processes.memory([gone, gone], 1) == 200


def test_kill_all_leaves_none(family: subprocess.Popen[bytes]) -> None:
    pids = [process.pid for process in processes.tree(family.pid)]
    processes.kill_all(processes.tree(family.pid))
    for _ in range(500):
        if not processes.tree(family.pid):
            break
        threading.Event().wait(0.01)
    assert not processes.tree(family.pid)
    processes.send(pids[0], signal.SIGTERM)  # one that is gone is no error


def test_program_is_the_path_of_what_runs() -> None:
    assert processes.program(os.getpid()) == os.path.realpath(sys.executable)
    assert processes.program(2**22 + 1) == ""
