"""The end of a run whose attempt failed: it is seen, or certain, before another one may start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.execution.execution import Execution
from jobs.launchers.api import LaunchError, RunSpec, RunState, RunStatus
from jobs.launchers.local import LocalLauncher
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.runs.process import process
from storage.base.clock import ManualClock
from storage.base.ids import JobId, RunId
from tests.support.jobs import SPECS, make_job
from tests.support.replicas import Replica, start_replica


class Mute(LocalLauncher):
    """Starts nothing, and hears a stop at the n-th time only."""

    def __init__(self, root: Path, deaf: int) -> None:
        super().__init__(root)
        self.deaf = deaf
        self.asked = 0

    def launch(self, spec: RunSpec) -> RunStatus:
        raise LaunchError("nobody knows whether it started")

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        self.asked += 1
        if self.asked <= self.deaf:
            raise LaunchError("the cluster does not answer")
        return RunStatus(run_id=run_id, state=RunState.GONE)


class Ticking(ManualClock):
    """Time passes as it is waited for."""

    def wait(self, stop: object, timeout: timedelta) -> bool:
        self.advance(timeout)
        return False


def _attempt(replica: Replica) -> Job:
    now = replica.parts.clock.now()
    return make_job(
        id=JobId("tsk_1"), kind=JobKind.TASK, spec=SPECS[JobKind.TASK], state=JobState.STARTING,
        attempt=1, owner="one", lease_until=now + timedelta(minutes=1),
    )  # fmt: skip


def _plan(launcher: LocalLauncher) -> Callable[[RunId, Path], RunSpec]:
    return lambda run_id, directory: RunSpec(
        run_id=run_id, command=("true",), directory=directory, merged=False
    )


@pytest.mark.parametrize(("deaf", "asked"), [(0, 1), (3, 4), (10**9, 72)])
def test_an_attempt_fails_when_its_run_has_certainly_ended(
    database_url: str, tmp_path: Path, deaf: int, asked: int
) -> None:
    """It is told to end until it hears, or its lease of 60 seconds and 10 more are over."""
    launcher = Mute(tmp_path / "mute", deaf)
    with start_replica(tmp_path, database_url, loops=()) as replica:
        clock = Ticking(replica.parts.clock.now())
        parts = replace(replica.parts, launcher=launcher, clock=clock)
        execution = Execution(_attempt(replica), None, clock=clock, timings={})
        with (
            pytest.raises(LaunchError, match="nobody knows"),
            process(parts, execution, _plan(launcher)),
        ):
            pass
    assert launcher.asked == asked
