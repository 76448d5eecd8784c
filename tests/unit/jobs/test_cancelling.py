"""A cancel is the end of the job, however far its attempt here has come meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from jobs.cancelling import Cancelling
from jobs.execution.execution import Execution
from jobs.execution.lanes import STATEMENTS
from jobs.execution.workers import Workers
from jobs.lifecycle.events import Claimed, Failed, Fault
from jobs.lifecycle.job import Job
from jobs.lifecycle.states import JobState
from jobs.store.jobs import Summary, add, apply, first_step, load
from storage.base.errors import Failure
from storage.meta.database import Tx
from tests.support.jobs import PROJECT, make_job
from tests.support.replicas import Replica, start_replica


class Heard:
    """Ends that were told."""

    def __init__(self) -> None:
        self.states: list[JobState] = []

    def ended(self, tx: Tx, job: Job, *, at: datetime) -> None:
        self.states.append(job.state)


@pytest.fixture
def replica(tmp_path: Path, database_url: str) -> Iterator[Replica]:
    with start_replica(tmp_path, database_url, loops=()) as made:
        yield made


@contextmanager
def worked_on(execution: Execution) -> Iterator[Workers]:
    """Workers of which one is not through with it yet."""
    through = threading.Event()

    def stay(_: Execution) -> None:
        through.wait(60)

    workers = Workers(
        seats={STATEMENTS: 1},
        run=stay,
        stop_work=lambda _: None,
        ended=lambda _: None,
    )
    assert workers.take_seats(STATEMENTS) == 1
    workers.start(execution)
    try:
        yield workers
    finally:
        through.set()
        workers.shut()


@pytest.mark.parametrize("claimed", [False, True])
def test_a_job_between_two_attempts_is_cancelled(replica: Replica, claimed: bool) -> None:
    heard, now = Heard(), replica.parts.clock.now()
    lease = now + timedelta(minutes=1)
    parts = replace(replica.parts, ending=replace(replica.parts.ending, notices=(heard,)))
    with parts.database.transaction() as tx:
        add(tx, [first_step(job := make_job())], plan=None, summary=Summary())
        job = apply(tx, job, Claimed(at=now, owner=parts.replica, lease_until=lease))
    execution = Execution(job, None, clock=parts.clock, timings={})
    failure = Failure(code="engine_lost", message="gone")
    execution.write(
        parts.database, Failed(at=now, failure=failure, fault=Fault.PLATFORM, not_before=now)
    )
    if claimed:  # by another replica, before this one's worker has left the job
        with parts.database.transaction() as tx:
            apply(tx, execution.job, Claimed(at=now, owner="other", lease_until=lease))
    with worked_on(execution) as workers:
        reading = replica.service._reading
        cancelling = Cancelling(parts=parts, workers=workers, reading=reading)
        cancelling.cancel(PROJECT, job.id, by=None)
    with parts.database.read() as tx:
        after = load(tx, job.id)
    assert after is not None
    if claimed:
        assert (after.state, after.owner) == (JobState.CANCELLING, "other")
    else:
        assert (after.state, heard.states) == (JobState.CANCELLED, [JobState.CANCELLED])
