"""Promises that every launcher keeps. A new launcher is one more row in LAUNCHERS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from jobs.launchers.api import Launcher, LaunchError, RunExistsError, RunState
from jobs.launchers.local import LocalLauncher
from storage.base.ids import RunId
from tests.support.runs import (
    LAUNCHERS,
    NOW,
    alive,
    begun,
    ended,
    eventually,
    kill,
    lives,
    python,
    service,
    spec,
    warden,
)

#: Some runs here have the same name, and a name is one run on a machine.
pytestmark = pytest.mark.xdist_group("launchers")


@pytest.fixture(params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Launcher]:
    made = LAUNCHERS[request.param](tmp_path / "runs")
    yield made
    made.close()


def test_exit_code_and_output_are_kept(launcher: Launcher) -> None:
    made = spec(launcher, "echo out; echo err >&2; exit 7")
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.state, status.exit_code, status.reason) == (RunState.EXITED, 7, None)
    assert launcher.logs(made.run_id).data == b"out\nerr\n"


def test_one_id_is_launched_once(launcher: Launcher) -> None:
    made = spec(launcher, "echo once")
    launcher.launch(made)
    with pytest.raises(RunExistsError):
        launcher.launch(made)
    ended(launcher, made.run_id)
    with pytest.raises(RunExistsError):
        launcher.launch(made)
    assert launcher.logs(made.run_id).data == b"once\n"


def test_stop_lets_a_run_end_by_itself(launcher: Launcher) -> None:
    made = spec(launcher, "trap 'echo bye; exit 3' TERM; echo $$; while :; do sleep 0.05; done")
    launcher.launch(made)
    begun(launcher, made.run_id)
    status = launcher.stop(made.run_id, grace=timedelta(seconds=5))
    assert (status.state, status.exit_code, status.reason) == (RunState.EXITED, 3, "stopped")
    assert launcher.logs(made.run_id).data.endswith(b"bye\n")


def test_stop_kills_what_does_not_listen(launcher: Launcher) -> None:
    made = spec(launcher, "trap '' TERM; echo $$; while :; do sleep 0.05; done")
    launcher.launch(made)
    pid = begun(launcher, made.run_id)
    status = launcher.stop(made.run_id, grace=timedelta(milliseconds=200))
    assert status.exit_code == -signal.SIGKILL
    assert not lives(launcher, made.run_id, pid)


def test_stop_reaches_grandchildren(launcher: Launcher) -> None:
    made = spec(launcher, "sleep 1000 & echo $!; wait")
    launcher.launch(made)
    pid = begun(launcher, made.run_id)
    launcher.stop(made.run_id, grace=NOW)
    assert not lives(launcher, made.run_id, pid)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
def test_stop_reaches_a_daemon_of_its_own_session(launcher: Launcher) -> None:
    made = spec(launcher, "setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000")
    launcher.launch(made)
    pid = begun(launcher, made.run_id)
    launcher.stop(made.run_id, grace=NOW)
    assert not lives(launcher, made.run_id, pid)


def test_leftovers_of_a_run_that_exits_are_killed(launcher: Launcher) -> None:
    made = spec(launcher, "sleep 1000 & echo $!")
    launcher.launch(made)
    pid = begun(launcher, made.run_id)
    assert ended(launcher, made.run_id).exit_code == 0
    assert not lives(launcher, made.run_id, pid)


def test_stop_of_an_ended_or_unknown_run_is_no_error(launcher: Launcher) -> None:
    made = spec(launcher, "exit 0")
    launcher.launch(made)
    ended(launcher, made.run_id)
    assert launcher.stop(made.run_id, grace=NOW).exit_code == 0
    assert launcher.stop(RunId("run_nobody"), grace=NOW).state is RunState.GONE


def test_program_that_is_not_there_exits_with_its_reason(launcher: Launcher) -> None:
    made = spec(launcher, "", command=("/no/such/program",))
    launcher.launch(made)
    assert ended(launcher, made.run_id).exit_code == 127
    assert b"/no/such/program: No such file" in launcher.logs(made.run_id).data


def test_run_over_its_memory_is_killed(launcher: Launcher) -> None:
    script = "import time; kept = bytearray(200 << 20); time.sleep(1000)"
    command = (python(launcher), "-S", "-c", script)
    made = spec(launcher, "", command=command, memory_bytes=100 << 20)
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (-signal.SIGTERM, "memory") or (
        status.exit_code,
        status.reason,
    ) == (-signal.SIGKILL, "memory")


def test_log_keeps_its_end_within_its_bound(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "runs", log_bytes=1000)
    made = spec(launcher, "i=0; while [ $i -lt 1000 ]; do echo line$i; i=$((i+1)); done")
    launcher.launch(made)
    ended(launcher, made.run_id)
    part = launcher.logs(made.run_id)
    assert part.data.endswith(b"line999\n")
    assert 500 <= len(part.data) <= 1000
    assert part.end == sum(len(f"line{number}\n") for number in range(1000))
    launcher.close()


def test_log_continues_from_an_offset(launcher: Launcher) -> None:
    made = spec(launcher, "echo one; echo two")
    launcher.launch(made)
    ended(launcher, made.run_id)
    assert launcher.logs(made.run_id, offset=4).data == b"two\n"
    assert launcher.logs(made.run_id, offset=8).data == b""
    assert launcher.logs(made.run_id, offset=8).end == 8


def test_running_tells_what_lives(launcher: Launcher) -> None:
    first, second = spec(launcher, "sleep 1000"), spec(launcher, "exit 0")
    launcher.launch(first)
    launcher.launch(second)
    ended(launcher, second.run_id)
    assert list(launcher.running()) == [first.run_id]
    launcher.forget(second.run_id)
    assert not second.directory.exists()
    with pytest.raises(ValueError, match="still runs"):
        launcher.forget(first.run_id)


def test_status_measures_memory_and_cpu(launcher: Launcher) -> None:
    made = spec(launcher, "echo $$; while :; do :; done")
    launcher.launch(made)
    pid = begun(launcher, made.run_id)
    eventually(lambda: launcher.status(made.run_id).cpu_seconds > 0.1)
    status = launcher.status(made.run_id)
    assert (status.pid, status.state) == (pid, RunState.RUNNING)
    assert status.rss_bytes > 0
    assert launcher.stop(made.run_id, grace=NOW).cpu_seconds > 0.1


def test_secrets_are_in_no_repr_and_no_process_list(launcher: Launcher) -> None:
    made = spec(launcher, "echo $$; sleep 1000")
    launcher.launch(made)
    begun(launcher, made.run_id)
    assert "hush" not in repr(made)
    lines = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not any("hush" in " ".join(line) for line in lines)


def test_directory_that_cannot_be_made_says_so(launcher: Launcher, tmp_path: Path) -> None:
    (tmp_path / "runs").rmdir()
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(LaunchError, match="cannot make"):
        launcher.launch(spec(launcher, "exit 0"))
    (tmp_path / "runs").unlink()


TWO = {
    "run_a": "trap '' TERM; echo $$; while :; do sleep 0.05; done",
    "run_b": "setsid sh -c 'echo $$; exec sleep 1000' & wait",
}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with two runs under way, below ``tmp_path / "dead"``."""
    process = service(tmp_path / "dead", 0, **TWO)
    yield process
    kill(process)


def test_nothing_outlives_a_killed_service(two: subprocess.Popen[bytes], tmp_path: Path) -> None:
    after = LocalLauncher(tmp_path / "dead")
    pids = [begun(after, RunId(name)) for name in ("run_a", "run_b")]
    assert all(alive(pid) for pid in pids)
    kill(two)
    eventually(lambda: not any(alive(pid) for pid in pids))
    eventually(lambda: not list(after.running()))
    assert after.status(RunId("run_a")).exit_code == -signal.SIGKILL


def test_runs_of_a_dead_service_are_stopped_by_the_next(
    two: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    after = LocalLauncher(tmp_path / "dead")
    pids = [begun(after, RunId(name)) for name in ("run_a", "run_b")]
    kill(two)
    for run_id in list(after.running()):
        after.stop(run_id, grace=NOW)
    assert not any(alive(pid) for pid in pids)
    assert not list(after.running())


def test_run_whose_warden_was_killed_is_killed_and_told(launcher: Launcher) -> None:
    script = "setsid sh -c 'echo $$; exec sleep 1000' & sleep 1000"
    made = spec(launcher, script)
    launcher.launch(made)
    pid = begun(launcher, made.run_id)
    os.kill(warden(launcher, made.run_id), signal.SIGKILL)
    status = ended(launcher, made.run_id)
    assert (status.state, status.reason) == (RunState.GONE, "orphaned")
    eventually(lambda: not alive(pid))


def test_run_orphaned_together_with_its_service_is_found(
    two: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    after = LocalLauncher(tmp_path / "dead")
    pids = [begun(after, RunId(name)) for name in ("run_a", "run_b")]
    killed = [warden(after, RunId(name)) for name in ("run_a", "run_b")]
    two.kill()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    two.wait()
    for name in ("run_a", "run_b"):
        after.stop(RunId(name), grace=NOW)
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_recycled_pid_is_not_killed(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "runs")
    bystander = subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
    home = launcher.prepare(RunId("run_old")).parent
    facts = {"pid": bystander.pid, "pid_identity": "another boot:1", "warden": 1}
    (home / "order.json").write_text(json.dumps({"boot": "another boot", "launched": 0.0}))
    (home / "started.json").write_text(json.dumps({**facts, "warden_identity": "x"}))
    assert launcher.stop(RunId("run_old"), grace=NOW).state is RunState.GONE
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
