"""The reaper moves what it can, whatever becomes of the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.launchers.api import RunState, RunStatus
from jobs.launchers.local import LocalLauncher
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.loops.reaper import Reaper
from jobs.store.jobs import Summary, add, first_step, load
from storage.base.ids import JobId, RunId
from tests.support.jobs import SPECS, make_job
from tests.support.replicas import Replica, start_replica


def _lost(
    replica: Replica,
    job_id: str,
    *,
    kind: JobKind = JobKind.TASK,
    state: JobState = JobState.RUNNING,
) -> Job:
    """A job whose owner was silent for an hour."""
    now = replica.parts.clock.now()
    job = make_job(
        id=JobId(job_id),
        kind=kind,
        spec=SPECS[kind],
        state=state,
        run_id=RunId("run_engine"),
        attempt=1,
        owner="gone",
        started_at=now - timedelta(hours=2),
        lease_until=now - timedelta(hours=1),
    )
    with replica.parts.database.transaction() as tx:
        add(tx, [first_step(job)], plan=None, summary=Summary())
    return job


class Powerless(LocalLauncher):
    """Cannot end what it is asked to."""

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        return RunStatus(run_id=run_id, state=RunState.RUNNING)


@pytest.mark.parametrize(("ends", "state"), [(False, "cancelling"), (True, "cancelled")])
def test_cancelled_is_not_said_before_the_engine_ended(
    database_url: str, tmp_path: Path, ends: bool, state: str
) -> None:
    with start_replica(tmp_path, database_url, loops=()) as replica:
        lost = _lost(replica, "stm_1", kind=JobKind.STATEMENT, state=JobState.CANCELLING)
        launcher = LocalLauncher(tmp_path / "runs") if ends else Powerless(tmp_path / "runs")
        parts = replace(replica.parts, launcher=launcher)
        Reaper(parts=parts, adopt=lambda _: False).tick()
        with replica.parts.database.read() as tx:
            after = load(tx, lost.id)
    assert after is not None
    assert after.state.value == state


def test_a_job_that_cannot_be_moved_strands_no_other(database_url: str, tmp_path: Path) -> None:
    with start_replica(tmp_path, database_url, loops=()) as replica:
        stuck, other = _lost(replica, "tsk_1"), _lost(replica, "tsk_2")

        def adopt(job: Job) -> bool:
            if job.id == stuck.id:
                raise RuntimeError("a mistake of ours")
            return False

        with pytest.raises(RuntimeError):
            Reaper(parts=replica.parts, adopt=adopt).tick()
        with replica.parts.database.read() as tx:
            moved, left = load(tx, other.id), load(tx, stuck.id)
    assert moved is not None
    assert left is not None
    assert (moved.state, left.state) == (JobState.QUEUED, JobState.RUNNING)
