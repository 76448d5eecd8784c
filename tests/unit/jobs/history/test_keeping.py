"""Attempts are noted as they end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from jobs.history.fingerprints import fingerprint_of
from jobs.history.keeping import History
from jobs.history.store import FAILED, FINISHED, KEPT, MEMORY, Observation, pace, recent
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.store.run_rows import end_run, keep_run_facts, plan_job_run, ready_run
from jobs.usage import COMPUTE_CU_MILLIS
from storage.base.errors import Failure
from storage.base.ids import JobId, RunId
from storage.meta.database import Database, Tx
from tests.support.jobs import NOW, PROJECT, SPECS, make_job

SECOND = timedelta(seconds=1)
GIB = 2**30


def _ended(name: str = "stm_1", **changes: object) -> Job:
    values = {"state": JobState.FINISHED, "attempt": 1, "started_at": NOW}
    return make_job(id=JobId(name), **values | changes)


def _batch(name: str = "bat_1", **changes: object) -> Job:
    values = {"kind": JobKind.BATCH, "spec": SPECS[JobKind.BATCH], "cpu_millis": 1000,
              "memory_bytes": 2 * GIB}  # fmt: skip
    return _ended(name, **values | changes)


def _run(tx: Tx, job: Job, end: str) -> None:
    run_id = RunId(f"run_{job.id}_{job.attempt}")
    plan_job_run(tx, run_id=run_id, job=job, engine=None, owner="a", at=NOW)
    ready_run(tx, run_id, at=NOW)
    totals = {"spilled_memory_bytes": 5, "spilled_disk_bytes": 7}
    keep_run_facts(tx, run_id, {"end": end, "spark": {"totals": totals}})
    end_run(
        tx, run_id, at=NOW + 9 * SECOND, exit_code=0, reason="ended", cpu=4 * SECOND,
        peak_memory=GIB,
    )  # fmt: skip


def _seen(tx: Tx, job: Job) -> tuple[Observation, ...]:
    fingerprint = fingerprint_of(job.spec)
    assert fingerprint is not None
    return recent(tx, PROJECT, fingerprint)


def test_a_statement_is_noted_with_its_time(database: Database) -> None:
    job = _ended()
    with database.transaction() as tx:
        History().keep(tx, job, used={COMPUTE_CU_MILLIS: 70}, at=NOW + 3 * SECOND)
        (seen,) = _seen(tx, job)
        assert pace(tx, PROJECT, "default") == 3 * SECOND
    assert (seen.outcome, seen.wall, seen.cpu_ms) == (FINISHED, 3 * SECOND, 70)


def test_a_statement_that_runs_often_is_noted_once_a_minute(database: Database) -> None:
    history = History()
    with database.transaction() as tx:
        for number in range(100):
            history.keep(tx, _ended(f"stm_{number}"), used={}, at=NOW + number * SECOND)
        assert len(_seen(tx, _ended())) == 2


def test_only_the_last_of_a_program_are_kept(database: Database) -> None:
    with database.transaction() as tx:
        for number in range(KEPT + 5):
            job = _batch(f"bat_{number:02}")
            History().keep(tx, job, used={}, at=NOW + number * SECOND)
        seen = _seen(tx, job)
    assert [each.job_id for each in seen] == [f"bat_{n:02}" for n in range(KEPT + 4, 4, -1)]


def test_a_batch_is_noted_with_what_its_run_used(database: Database) -> None:
    job = _batch()
    with database.transaction() as tx:
        _run(tx, job, "done")
        History().keep(tx, job, used={}, at=NOW + 9 * SECOND)
        (seen,) = _seen(tx, job)
    assert (seen.peak_memory, seen.cpu_ms, seen.spill_bytes) == (GIB, 4000, 12)
    assert (seen.cpu_millis, seen.memory_bytes) == (1000, 2 * GIB)


def test_an_attempt_without_memory_is_noted_before_the_next_one(database: Database) -> None:
    first = _batch()
    again = replace(first, state=JobState.QUEUED, started_at=None, memory_bytes=4 * GIB)
    with database.transaction() as tx:
        _run(tx, first, "out_of_memory")
        History().keep(tx, again, used={}, at=NOW + 9 * SECOND)
        History().keep(tx, first, used={}, at=NOW + 9 * SECOND, memory=True)
        (seen,) = _seen(tx, first)
    assert (seen.outcome, seen.memory_bytes, seen.wall) == (MEMORY, 2 * GIB, 9 * SECOND)


def test_failures_count_and_cancelled_ones_do_not(database: Database) -> None:
    failed = _batch(state=JobState.FAILED, failure=Failure(code="x", message="no"))
    with database.transaction() as tx:
        History().keep(tx, failed, used={}, at=NOW + SECOND)
        History().keep(tx, _batch("bat_2", state=JobState.CANCELLED), used={}, at=NOW + SECOND)
        History().keep(tx, _batch("bat_3", attempt=0), used={}, at=NOW + SECOND)
        (seen,) = _seen(tx, failed)
    assert seen.outcome == FAILED
