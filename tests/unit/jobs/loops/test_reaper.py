"""The reaper moves what it can, whatever becomes of the rest."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.loops.reaper import Reaper
from jobs.store.jobs import Summary, add, first_step, load
from storage.base.ids import JobId
from tests.support.jobs import SPECS, make_job
from tests.support.replicas import Replica, start_replica


def _lost(replica: Replica, job_id: str) -> Job:
    """A task whose owner was silent for an hour."""
    now = replica.parts.clock.now()
    job = make_job(
        id=JobId(job_id),
        kind=JobKind.TASK,
        spec=SPECS[JobKind.TASK],
        state=JobState.RUNNING,
        attempt=1,
        owner="gone",
        started_at=now - timedelta(hours=2),
        lease_until=now - timedelta(hours=1),
    )
    with replica.parts.database.transaction() as tx:
        add(tx, [first_step(job)], plan=None, summary=Summary())
    return job


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
