"""An attempt in memory against the job in rows: who was first wins, and nothing is done twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.execution.execution import AttemptLostError, CancellingError, Execution
from jobs.lifecycle.events import (
    CancelRequested,
    Claimed,
    EngineReady,
    Event,
    Failed,
    Fault,
    LeaseExpired,
    Published,
    ResultReady,
    Stopped,
)
from jobs.lifecycle.job import Job
from jobs.lifecycle.states import JobState
from jobs.store import idempotency
from jobs.store.idempotency import KeyUse
from jobs.store.jobs import Summary, add, apply, find, first_step, history, load
from storage.base.clock import ManualClock
from storage.base.errors import Failure
from storage.base.ids import JobId, RunId
from storage.meta.database import Database, Tx
from tests.support.jobs import NOW, PROJECT, make_job
from tests.unit.jobs.store.test_codec import QUERY

CLAIM = Claimed(at=NOW, owner="a", lease_until=NOW + timedelta(seconds=15))
READY = EngineReady(at=NOW, run_id=RunId("run_1"), engine_version="0.7.2")
FAILURE = Failure(code="engine_lost", message="gone")


@pytest.fixture
def execution(database: Database) -> Execution:
    """Of a job that was just claimed."""
    job = make_job()
    with database.transaction() as tx:
        add(tx, [first_step(job)], plan=QUERY, summary=Summary())
        job = apply(tx, job, CLAIM)
    clock = ManualClock()
    return Execution(job, QUERY, clock=clock, timings={"prepare": 2.0}, used_before={"m": 5})


def _stored(database: Database) -> Job:
    with database.read() as tx:
        job = load(tx, JobId("stm_1"))
    assert job is not None
    return job


def _elsewhere(database: Database, *events: Event) -> None:
    """Another replica writes."""
    job = _stored(database)
    with database.transaction() as tx:
        for event in events:
            job = apply(tx, job, event)


def _mark(tx: Tx) -> None:
    """Something that belongs to the end of the job."""
    use = KeyUse(job_id=JobId("stm_1"), body_hash="")
    assert idempotency.take(tx, PROJECT, "mark", use=use, at=NOW)


def _marked(database: Database) -> bool:
    with database.read() as tx:
        return idempotency.find(tx, PROJECT, "mark") is not None


def test_steps_are_written_together_with_the_end(execution: Execution, database: Database) -> None:
    execution.step(READY)
    execution.step(ResultReady(at=NOW))
    assert _stored(database).state is JobState.STARTING
    execution.used["m"] = 2
    with execution.finishing(database, Published(at=NOW)) as tx:
        _mark(tx)
    assert _stored(database) == execution.job
    assert _marked(database)
    with database.read() as tx:
        states = [event.state.value for event in history(tx, JobId("stm_1"))]
        row = find(tx, JobId("stm_1"))
    assert states == ["queued", "starting", "running", "publishing", "finished"]
    assert row is not None
    assert (row.usage, row.timings) == ({"m": 7}, {"prepare": 2.0})


def test_a_cancel_by_another_replica_stops_the_end(
    execution: Execution, database: Database
) -> None:
    execution.step(READY)
    execution.step(ResultReady(at=NOW))
    _elsewhere(database, CancelRequested(at=NOW))
    with pytest.raises(CancellingError), execution.finishing(database, Published(at=NOW)) as tx:
        _mark(tx)
    assert not _marked(database)
    assert execution.job.state is JobState.CANCELLING
    assert execution.job.run_id == "run_1", "the engine that must let go is remembered"
    execution.write(database, Stopped(at=NOW))
    assert _stored(database).state is JobState.CANCELLED


def test_a_lost_attempt_ends_nothing(execution: Execution, database: Database) -> None:
    execution.step(READY)
    execution.step(ResultReady(at=NOW))
    _elsewhere(database, LeaseExpired(at=NOW), CLAIM)
    with pytest.raises(AttemptLostError), execution.finishing(database, Published(at=NOW)) as tx:
        _mark(tx)
    assert execution.stop.is_set()
    assert not _marked(database)
    assert _stored(database).attempt == 2


def test_the_same_owner_does_not_confuse_its_attempts(
    execution: Execution, database: Database
) -> None:
    _elsewhere(database, LeaseExpired(at=NOW), CLAIM, CancelRequested(at=NOW))
    with pytest.raises(AttemptLostError):
        execution.write(database, READY)


def test_an_end_whose_block_fails_has_not_happened(
    execution: Execution, database: Database
) -> None:
    execution.step(READY)
    execution.step(ResultReady(at=NOW))
    with pytest.raises(ValueError, match="no"), execution.finishing(database, Published(at=NOW)):
        raise ValueError("no")
    assert execution.job.state is JobState.PUBLISHING
    execution.write(database, Failed(at=NOW, failure=FAILURE, fault=Fault.USER))
    assert _stored(database).state is JobState.FAILED


def test_no_step_is_taken_by_a_job_that_is_cancelled(
    execution: Execution, database: Database
) -> None:
    execution.write(database, CancelRequested(at=NOW))
    with pytest.raises(CancellingError):
        execution.step(READY)


def test_a_written_cancel_of_others_is_taken_over(execution: Execution, database: Database) -> None:
    execution.step(READY)
    _elsewhere(database, CancelRequested(at=NOW))
    execution.adopt(_stored(database))
    assert execution.job.state is JobState.CANCELLING
    assert not execution.unwritten


def test_what_others_made_of_a_lost_attempt_is_not_taken_over(
    execution: Execution, database: Database
) -> None:
    _elsewhere(database, LeaseExpired(at=NOW), CLAIM, CancelRequested(at=NOW))
    execution.adopt(_stored(database))
    assert execution.job.state is JobState.STARTING


def test_timings_are_milliseconds(execution: Execution) -> None:
    with execution.timed("bind"):
        pass
    assert execution.timings == {"prepare": 2.0, "bind": 0.0}
