"""Jobs in rows: compare-and-set, and a history without gaps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.lifecycle.events import CancelRequested, Claimed, EngineReady, Failed, Fault, Published
from jobs.lifecycle.job import Job
from jobs.lifecycle.machine import IllegalTransitionError
from jobs.lifecycle.states import JobState
from jobs.store.jobs import (
    JobChangedError,
    Measures,
    Step,
    Summary,
    add,
    apply,
    find,
    first_step,
    history,
    load,
    load_plan,
    next_step,
    renew,
    summary_of,
    write,
    write_progress,
)
from storage.base.errors import Failure
from storage.base.ids import JobId, ProjectId, RunId
from storage.meta.database import Database
from tests.support.jobs import NOW, PROJECT, make_job, make_spec
from tests.unit.jobs.store.test_codec import QUERY

CLAIM = Claimed(at=NOW, owner="a", lease_until=NOW + timedelta(seconds=15))
READY = EngineReady(at=NOW, run_id=RunId("run_1"), engine_version="0.7.2")


def _added(database: Database, **changes: object) -> Job:
    job = make_job(**changes)
    with database.transaction() as tx:
        add(tx, [first_step(job)], plan=QUERY, summary=Summary(cost=QUERY.cost))
    return job


def _stored(database: Database) -> Job:
    with database.read() as tx:
        job = load(tx, JobId("stm_1"))
    assert job is not None
    return job


def test_a_job_comes_back_as_it_was_kept(database: Database) -> None:
    job = _added(database, spec=make_spec(labels={"team": "x"}, max_cost=5))
    assert _stored(database) == job
    with database.read() as tx:
        assert load_plan(tx, job.id) == QUERY
        row = find(tx, job.id, PROJECT)
        assert row is not None
        assert summary_of(row).cost == QUERY.cost
        assert find(tx, job.id, ProjectId("other")) is None


def test_steps_are_kept_with_their_events(database: Database) -> None:
    job = _added(database)
    with database.transaction() as tx:
        job = apply(tx, job, CLAIM)
        job = apply(tx, job, READY)
    assert _stored(database) == job
    with database.read() as tx:
        events = history(tx, job.id)
        assert history(tx, job.id, after=2) == events[2:]
    assert [event.version for event in events] == [1, 2, 3]
    assert [event.kind for event in events] == ["submitted", "claimed", "started"]
    assert events[1].detail == {"attempt": 1, "owner": "a"}


def test_the_second_of_two_writers_is_told(database: Database) -> None:
    job = _added(database)
    with database.transaction() as tx:
        apply(tx, job, CLAIM)
    with pytest.raises(JobChangedError), database.transaction() as tx:
        apply(tx, job, replace(CLAIM, owner="b"))
    assert _stored(database).owner == "a"
    with database.read() as tx:
        assert len(history(tx, job.id)) == 2


def test_several_steps_are_one_write(database: Database) -> None:
    job = _added(database)
    steps: list[Step] = []
    for event in (CLAIM, READY):
        step = next_step(job, event)
        assert step is not None
        steps.append(step)
        job = step.job
    measures = Measures(timings={"prepare": 1.5}, usage={"compute.cu_ms": 7}, rows=3, bytes=9)
    with database.transaction() as tx:
        write(tx, steps, seen=1, measures=measures)
    with database.read() as tx:
        row = find(tx, job.id)
        assert row is not None
        assert (row.timings, row.usage) == ({"prepare": 1.5}, {"compute.cu_ms": 7})
        assert (row.progress_rows, row.progress_bytes) == (3, 9)
        assert [event.version for event in history(tx, job.id)] == [1, 2, 3]


def test_an_illegal_step_writes_nothing(database: Database) -> None:
    job = _added(database)
    with pytest.raises(IllegalTransitionError), database.transaction() as tx:
        apply(tx, job, Published(at=NOW))
    assert _stored(database) == job


def test_a_failure_keeps_its_place_and_details(database: Database) -> None:
    job = _added(database)
    failure = Failure(
        code="x", message="no", line=1, column=2, details={"path": Path("/a"), "n": (1, 2)}
    )
    with database.transaction() as tx:
        job = apply(tx, job, CLAIM)
        apply(tx, job, Failed(at=NOW, failure=failure, fault=Fault.USER))
    kept = _stored(database).failure
    assert kept is not None
    assert (kept.line, kept.column, kept.details) == (1, 2, {"path": "/a", "n": [1, 2]})


def test_a_renewed_lease_is_no_step(database: Database) -> None:
    job = _added(database)
    later = NOW + timedelta(minutes=1)
    with database.transaction() as tx:
        job = apply(tx, job, CLAIM)
        renew(tx, "a", [job.id], later)
        renew(tx, "b", [job.id], later + later.resolution)
    stored = _stored(database)
    assert (stored.version, stored.lease_until) == (2, later)


def test_progress_of_an_older_version_is_dropped(database: Database) -> None:
    job = _added(database)
    with database.transaction() as tx:
        write_progress(tx, job.id, seen=1, rows=5, bytes=6)
        apply(tx, job, CLAIM)
        write_progress(tx, job.id, seen=1, rows=7, bytes=8)
    with database.read() as tx:
        row = find(tx, job.id)
    assert row is not None
    assert (row.progress_rows, row.progress_bytes) == (5, 6)


def test_a_second_cancel_is_no_step(database: Database) -> None:
    job = _added(database)
    with database.transaction() as tx:
        job = apply(tx, job, CLAIM)
        job = apply(tx, job, CancelRequested(at=NOW))
        assert apply(tx, job, CancelRequested(at=NOW)) is job
    assert _stored(database).state is JobState.CANCELLING


def test_a_step_keeps_the_lease_that_was_renewed_meanwhile(database: Database) -> None:
    job = _added(database)
    later = NOW + timedelta(minutes=2)
    with database.transaction() as tx:
        claimed = apply(tx, job, CLAIM)
        renew(tx, "a", [claimed.id], later)
        apply(tx, claimed, READY)
    assert _stored(database).lease_until == later
