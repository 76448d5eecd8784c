"""When a watcher looks, and what only the kernel can tell it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.launchers import processes, watcher
from jobs.launchers.identity import moment
from jobs.launchers.watcher import Watcher

LIMIT = 1 << 34

V2 = "low 0\nhigh 0\nmax 12\noom 3\noom_kill {kills}\noom_group_kill 0\n"
V1 = "oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n"


@pytest.fixture(params=[V2, V1], ids=["v2", "v1"])
def kills(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int], object]:
    """Sets what the kernel counts, as a control group of either version tells it."""
    events, control = tmp_path / "memory.events", tmp_path / "memory.oom_control"
    monkeypatch.setattr(watcher, "_KILLS", (str(events), str(control)))
    file = events if request.param is V2 else control
    return lambda count: file.write_text(request.param.format(kills=count))


def order(tmp_path: Path, *, contained: bool) -> dict[str, Any]:
    return {
        "memory_bytes": LIMIT,
        "max_output_bytes": None,
        "stdout": None,
        "directory": os.fspath(tmp_path),
        "contained": contained,
    }


def test_a_kill_by_the_kernel_ends_the_run(kills: Callable[[int], object], tmp_path: Path) -> None:
    kills(2)  # of an earlier container of the pod
    watching = Watcher(order(tmp_path, contained=True))
    assert watching.look() is None
    kills(3)
    assert watching.look() == "memory"
    assert watching.used(final=False)["peak"] == LIMIT


def test_kills_beside_a_process_of_the_machine_are_not_its_own(
    kills: Callable[[int], object], tmp_path: Path
) -> None:
    kills(0)
    watching = Watcher(order(tmp_path, contained=False))
    kills(1)
    assert watching.look() is None


def test_a_kernel_that_counts_no_kills_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_KILLS", (os.fspath(tmp_path / "absent"),))
    assert Watcher(order(tmp_path, contained=True)).look() is None


@pytest.mark.skipif(not processes.COMPLETE, reason="looks are made by another process")
def test_a_look_that_a_busy_machine_holds_up_delays_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = Watcher(order(tmp_path, contained=False))
    found = processes.tree(os.getpid())

    def held_up(root: int) -> list[processes.Process]:
        threading.Event().wait(0.2)
        return found

    monkeypatch.setattr("jobs.launchers.watcher.processes.tree", held_up)
    watching.look()
    assert watching.due - moment() < 5.0  # by the clock it would be 20


def test_a_slow_disk_is_asked_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watcher({**order(tmp_path, contained=False), "max_output_bytes": 1 << 20})

    def slow(directory: str) -> int:
        threading.Event().wait(0.05)
        return 0

    monkeypatch.setattr(watcher, "_size", slow)
    watching.look()
    assert watching._measure_at - moment() > 4.0  # a hundred times what it took
