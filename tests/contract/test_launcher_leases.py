"""Runs with a lease outlive their service, and never for long; whoever dies, nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.launchers import facts
from jobs.launchers.api import Launcher, LogStream, RunSpec, RunState
from jobs.launchers.identity import boot, moment
from jobs.launchers.local import LocalLauncher
from storage.base.ids import RunId
from tests.support.runs import (
    LAUNCHERS,
    NOW,
    STUBBORN,
    alive,
    begun,
    ended,
    eventually,
    hold,
    kill,
    pids,
    service,
    spec,
    warden,
)

#: Some runs here have the same name, and a name is one run on a machine.
pytestmark = pytest.mark.xdist_group("launchers")

LEASE = timedelta(seconds=30)
SHORT = {"lease": timedelta(seconds=3), "grace": timedelta(seconds=0.5)}
#: Before a second ``SHORT`` lease would be over: its end may be seen late on a busy machine.
LATE = 5.5
WAITS = "trap 'echo bye; exit 3' TERM; echo $$; while :; do sleep 0.05; done"


@pytest.fixture(params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Launcher]:
    made = LAUNCHERS[request.param](tmp_path / "runs")
    yield made
    for run_id in list(made.running()):
        made.stop(run_id, grace=NOW)
    made.close()


def beaten(home: Path) -> list[int]:
    """The processes that the warden told last, to be killed should it die."""
    beat = facts.read(str(home), "beat.json") or {"processes": []}
    return [pid for pid, _ in beat["processes"]]


def stubborn(launcher: Launcher) -> RunSpec:
    return spec(launcher, "", command=(sys.executable, "-S", "-c", STUBBORN), lease=LEASE)


def test_leased_run_ends_when_nobody_renews(launcher: Launcher) -> None:
    made = spec(launcher, WAITS, **SHORT)
    before = launcher.moment()
    launcher.launch(made)
    begun(launcher, made.run_id)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (3, "lease")
    assert 2.0 <= launcher.moment() - before <= LATE
    assert launcher.logs(made.run_id).data.endswith(b"bye\n")


def test_lease_ends_even_what_does_not_listen(launcher: Launcher) -> None:
    made = spec(launcher, "trap '' TERM; echo $$; while :; do sleep 0.05; done", **SHORT)
    before = launcher.moment()
    launcher.launch(made)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (-signal.SIGKILL, "lease")
    assert launcher.moment() - before <= LATE


def test_renewal_keeps_a_run(launcher: Launcher) -> None:
    made = spec(launcher, WAITS, lease=timedelta(seconds=5), grace=timedelta(seconds=0.5))
    launcher.launch(made)
    end = time.monotonic() + 5.5
    while time.monotonic() < end:
        launcher.renew([made.run_id, RunId("run_nobody")], at=launcher.moment())
        threading.Event().wait(0.2)
    assert launcher.status(made.run_id).state is RunState.RUNNING


def test_older_renewal_changes_nothing(launcher: Launcher) -> None:
    made = spec(launcher, WAITS, lease=LEASE)
    launcher.launch(made)
    begun(launcher, made.run_id)
    now = launcher.moment()
    launcher.renew([made.run_id], at=now + 100)
    launcher.renew([made.run_id], at=now - 100)
    threading.Event().wait(1.5)
    assert launcher.status(made.run_id).state is RunState.RUNNING


def test_lease_that_ended_before_the_start_ends_the_run(launcher: Launcher) -> None:
    made = spec(launcher, WAITS, renewed_at=launcher.moment() - 100, **SHORT)
    launcher.launch(made)
    assert ended(launcher, made.run_id).reason == "lease"


def test_lease_too_short_to_be_watched_is_refused(launcher: Launcher) -> None:
    with pytest.raises(ValueError, match="leaves no time"):
        spec(launcher, "", lease=timedelta(seconds=1))


def test_close_leaves_leased_runs_alone(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "runs")
    leased, bound = spec(launcher, WAITS, lease=LEASE), spec(launcher, WAITS)
    launcher.launch(leased)
    launcher.launch(bound)
    begun(launcher, leased.run_id)
    launcher.close()
    after = LocalLauncher(tmp_path / "runs")
    assert list(after.running()) == [leased.run_id]
    assert after.stop(leased.run_id, grace=LEASE).reason == "stopped"
    launcher.forget(leased.run_id)


def test_run_outlives_its_service_and_is_adopted(tmp_path: Path) -> None:
    first = service(tmp_path, 30, run_a=WAITS)
    kill(first)
    after = LocalLauncher(tmp_path)
    adopted = after.adopt(RunId("run_a"))
    assert adopted.state is RunState.RUNNING
    assert adopted.rss_bytes > 0
    threading.Event().wait(1.2)
    assert after.status(RunId("run_a")).state is RunState.RUNNING
    assert after.logs(RunId("run_a")).data == f"{adopted.pid}\n".encode()
    status = after.stop(RunId("run_a"), grace=timedelta(seconds=5), reason="enough")
    assert (status.exit_code, status.reason) == (3, "enough")
    after.forget(RunId("run_a"))
    assert not list(after.known())


def test_run_that_ended_while_no_service_lived_has_its_exit(tmp_path: Path) -> None:
    began = moment()
    kill(service(tmp_path, 30, run_a="echo $$; sleep 0.5; exit 7"))
    after = LocalLauncher(tmp_path)
    status = ended(after, RunId("run_a"))
    assert (status.state, status.exit_code, status.reason) == (RunState.EXITED, 7, None)
    assert 0.5 <= status.elapsed_seconds <= moment() - began


def test_second_stop_hastens_the_end(launcher: Launcher) -> None:
    made = spec(launcher, "trap '' TERM; echo $$; while :; do sleep 0.05; done", lease=LEASE)
    launcher.launch(made)
    begun(launcher, made.run_id)
    slow = threading.Thread(
        target=launcher.stop, args=(made.run_id,), kwargs={"grace": LEASE, "reason": "first"}
    )
    slow.start()
    eventually((launcher.directory(made.run_id).parent / "stop").exists)
    status = launcher.stop(made.run_id, grace=NOW, reason="second")
    slow.join(60)
    assert (status.exit_code, status.reason) == (-signal.SIGKILL, "first")


def test_stop_before_the_start_leaves_nothing(launcher: Launcher) -> None:
    for _ in range(5):
        made = spec(launcher, "echo $$; sleep 1000", lease=LEASE)
        launcher.launch(made)
        status = launcher.stop(made.run_id, grace=NOW, reason="early")
        assert status.state.ended
        assert status.reason == "early"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
def test_stop_ends_daemons_that_hear_nothing(launcher: Launcher) -> None:
    made = stubborn(launcher)
    launcher.launch(made)
    left = pids(launcher, made.run_id, 2)
    assert all(alive(pid) for pid in left)
    status = launcher.stop(made.run_id, grace=timedelta(seconds=0.3))
    assert (status.exit_code, status.reason) == (-signal.SIGKILL, "stopped")
    assert not any(alive(pid) for pid in left)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
def test_stop_ends_daemons_of_an_adopted_run(tmp_path: Path) -> None:
    script = f"exec {sys.executable} -S -c '{STUBBORN}'"
    kill(service(tmp_path, 30, run_a=script))
    after = LocalLauncher(tmp_path)
    left = pids(after, RunId("run_a"), 2)
    assert all(alive(pid) for pid in left)
    after.stop(RunId("run_a"), grace=timedelta(seconds=0.3))
    assert not any(alive(pid) for pid in left)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
@pytest.mark.parametrize("service_dies", [False, True])
def test_daemons_of_a_killed_warden_are_found(tmp_path: Path, service_dies: bool) -> None:
    script = f"exec {sys.executable} -S -c '{STUBBORN}'"
    process = service(tmp_path, 30, run_a=script)
    after = LocalLauncher(tmp_path)
    left = pids(after, RunId("run_a"), 2)
    eventually(lambda: left[1] in beaten(tmp_path / "run_a"))
    if service_dies:
        kill(process)
    os.kill(warden(after, RunId("run_a")), signal.SIGKILL)
    status = ended(after, RunId("run_a"))
    assert (status.state, status.reason) == (RunState.GONE, "orphaned")
    assert not any(alive(pid) for pid in left)
    kill(process)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
def test_warden_that_does_nothing_is_killed_with_its_run(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path, patience=0.5)
    made = stubborn(launcher)
    launcher.launch(made)
    left = pids(launcher, made.run_id, 2)
    eventually(lambda: left[1] in beaten(tmp_path / made.run_id))
    hold(warden(launcher, made.run_id))
    status = launcher.stop(made.run_id, grace=NOW, reason="stuck")
    assert (status.state, status.reason) == (RunState.GONE, "stuck")
    assert not any(alive(pid) for pid in left)
    launcher.close()


def test_usage_of_a_killed_warden_is_that_of_its_last_beat(launcher: Launcher) -> None:
    made = spec(launcher, "echo $$; while :; do :; done", lease=LEASE)
    launcher.launch(made)
    began = launcher.moment()
    begun(launcher, made.run_id)
    home = str(launcher.directory(made.run_id).parent)
    eventually(lambda: (facts.read(home, "beat.json") or {"cpu": 0.0})["cpu"] > 0.1)
    hold(warden(launcher, made.run_id)).kill()
    lived, beat = launcher.moment() - began, facts.read(home, "beat.json")
    status = ended(launcher, made.run_id)
    assert beat is not None
    assert (status.elapsed_seconds, status.cpu_seconds) == (beat["elapsed"], beat["cpu"])
    assert 0.1 < status.cpu_seconds <= status.elapsed_seconds + 0.5 <= lived + 0.5
    assert status.peak_rss_bytes > 0


def test_sigterm_to_the_warden_ends_its_run(launcher: Launcher) -> None:
    made = spec(launcher, WAITS, lease=LEASE)
    launcher.launch(made)
    begun(launcher, made.run_id)
    os.kill(warden(launcher, made.run_id), signal.SIGTERM)
    status = ended(launcher, made.run_id)
    assert (status.exit_code, status.reason) == (3, "stopped")


def test_stop_works_where_no_file_can_be_written(launcher: Launcher) -> None:
    made = spec(launcher, WAITS, lease=LEASE)
    launcher.launch(made)
    begun(launcher, made.run_id)
    (launcher.directory(made.run_id).parent / "stop" / "in the way").mkdir(parents=True)
    status = launcher.stop(made.run_id, grace=NOW)
    assert (status.exit_code, status.reason) == (3, "stopped")


def test_run_that_has_ended_is_not_said_to_be_stopped(launcher: Launcher) -> None:
    made = spec(launcher, "echo $$; while [ ! -e over ]; do sleep 0.01; done; exit 7", lease=LEASE)
    launcher.launch(made)
    pid, late = begun(launcher, made.run_id), warden(launcher, made.run_id)
    hold(late)  # it hears of the end and of the stop at once
    (launcher.directory(made.run_id) / "over").touch()
    eventually(lambda: not alive(pid))
    resumed = threading.Timer(0.2, os.kill, (late, signal.SIGCONT))
    resumed.start()
    status = launcher.stop(made.run_id, grace=timedelta(seconds=5))
    resumed.join()
    assert (status.exit_code, status.reason) == (7, None)


def test_wrapper_hears_no_sigterm(launcher: Launcher) -> None:
    cover = Path(sys.executable).resolve()
    script = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    command = (str(cover), "-S", "-c", script, "/bin/sh", "-c", WAITS)
    made = spec(launcher, "", command=command, wrapper=cover)
    launcher.launch(made)
    begun(launcher, made.run_id)
    status = launcher.stop(made.run_id, grace=timedelta(seconds=5))
    assert status.exit_code == 3
    assert launcher.logs(made.run_id, stream=LogStream.STDERR).data.endswith(b"bye\n")


def test_warden_that_comes_too_late_starts_nothing(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path)
    home = launcher.prepare(RunId("run_late")).parent
    facts.claim(str(home), "order.json", {"boot": "another", "launched": 0.0, "merged": True})
    assert launcher.status(RunId("run_late")).state is RunState.GONE
    path = Path(sys.modules[LocalLauncher.__module__].__file__ or "").with_name("warden.py")
    late = subprocess.run([sys.executable, str(path), str(home)], input=b"{}\n", check=False)
    assert late.returncode == 0
    assert not (home / "started.json").exists()


def test_young_run_of_a_dead_service_is_not_given_up(tmp_path: Path) -> None:
    home = LocalLauncher(tmp_path).prepare(RunId("run_young")).parent
    launcher = LocalLauncher(tmp_path)
    order = {"boot": boot(), "launched": launcher.moment() - 4.5, "merged": True, "stdout": None}
    facts.claim(str(home), "order.json", order)
    assert launcher.status(RunId("run_young")).state is RunState.STARTING
    launcher.stop(RunId("run_young"), grace=NOW, reason="never came")
    status = launcher.status(RunId("run_young"))
    assert (status.state, status.reason) == (RunState.GONE, "never came")
