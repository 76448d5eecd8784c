"""What is forgotten, when, and what never is; on both databases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Table, func, insert, select, update

from dli.billing.allowance import PricedAllowance
from dli.billing.bills import find_bill
from dli.billing.pricebook import read_price_book
from dli.billing.reports import usage_report
from dli.metering.ledger import UsageLedger
from jobs.execution.ending import Ending
from jobs.history.store import FINISHED, Observation, note, recent
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.pipelines.rows import backfill_days, backfills, pipeline_nodes
from jobs.retention import Kept, Retention
from jobs.store import idempotency
from jobs.store.idempotency import KeyUse
from jobs.store.jobs import Summary, add, find, first_step
from jobs.store.rows import idempotency_keys, job_events, jobs, past_jobs
from jobs.store.run_rows import plan_job_run, runs
from jobs.usage import SCAN_BYTES
from storage.base.clock import ManualClock
from storage.base.ids import JobId, new_id
from storage.meta.database import Database, Tx
from storage.objects.folder import FolderStore
from storage.results.results import Results
from storage.results.writer import ResultWriter
from tests.support.jobs import NOW, PROJECT, SPECS, make_job

DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A database, a store, and what forgets in both."""

    database: Database
    store: FolderStore
    clock: ManualClock
    retention: Retention

    def add(self, *, days: int, kind: JobKind = JobKind.STATEMENT, **changes: Any) -> Job:
        """A job that ended so many days ago."""
        at = NOW - days * DAY
        values: dict[str, Any] = {
            "id": JobId(new_id(kind.prefix, at)), "kind": kind, "spec": SPECS[kind],
            "state": JobState.FINISHED, "created_at": at, "ended_at": at, "attempt": 1,
        }  # fmt: skip
        job = make_job(**values | changes)
        with self.database.transaction() as tx:
            add(tx, [first_step(job)], plan=None, summary=Summary())
        return job

    def add_run(self, job: Job) -> str:
        """The run of its attempt, with a log; the key of the log."""
        key = f"logs/{job.id}/1/stdout/0"
        self.store.put(key, b"hello")
        with self.database.transaction() as tx:
            run_id: Any = f"{job.id}-1"
            plan_job_run(tx, run_id=run_id, job=job, engine=None, owner="a", at=job.created_at)
            tx.execute(update(runs).where(runs.c.id == run_id).values(ended_at=job.ended_at))
        return key

    def forget(self) -> None:
        """Until there is nothing to be forgotten."""
        while self.retention.tick():
            pass

    def has(self, job: Job) -> bool:
        """Whether the job is there."""
        with self.database.read() as tx:
            return find(tx, job.id) is not None

    def count(self, table: Table) -> int:
        """Of its rows."""
        with self.database.read() as tx:
            return tx.execute(select(func.count()).select_from(table)).scalar_one()


@pytest.fixture
def archive(database: Database, tmp_path: Path) -> Archive:
    store, clock = FolderStore(tmp_path), ManualClock(NOW)
    results = Results(database=database, store=store, clock=clock)
    retention = Retention(
        database=database,
        store=store,
        results=results,
        clock=clock,
        kept=Kept(jobs=90 * DAY, logs=30 * DAY, keys=DAY),
    )
    return Archive(database=database, store=store, clock=clock, retention=retention)


def test_old_jobs_go_with_their_history_and_others_stay(archive: Archive) -> None:
    old, young = archive.add(days=91), archive.add(days=89)
    living = archive.add(days=200, state=JobState.QUEUED, ended_at=None)
    late = archive.add(days=200, ended_at=NOW - DAY)
    archive.forget()
    assert [archive.has(job) for job in (old, young, living, late)] == [False, True, True, True]
    assert archive.count(job_events) == 3
    assert archive.count(past_jobs) == 1


def test_what_a_statement_used_goes_with_it_and_of_programs_stays(archive: Archive) -> None:
    for kind in (JobKind.STATEMENT, JobKind.BATCH):
        job = archive.add(days=91, kind=kind)
        used = Observation(
            job_id=job.id, attempt=1, project_id=PROJECT, queue="default", fingerprint=kind.value,
            kind=kind, outcome=FINISHED, at=job.created_at, wall=timedelta(seconds=1),
        )  # fmt: skip
        with archive.database.transaction() as tx:
            note(tx, used)
    archive.forget()
    with archive.database.read() as tx:
        assert [len(recent(tx, PROJECT, name)) for name in ("statement", "batch")] == [0, 1]


def test_many_go_by_a_few_at_a_time(archive: Archive) -> None:
    for _ in range(450):
        archive.add(days=100)
    assert archive.retention.tick() == 200
    assert archive.count(jobs) == 250
    archive.forget()
    assert (archive.count(jobs), archive.count(past_jobs)) == (0, 450)


def test_logs_go_before_their_jobs(archive: Archive) -> None:
    batch = archive.add(days=40, kind=JobKind.BATCH)
    task = archive.add(days=20, kind=JobKind.TASK)
    gone, kept = archive.add_run(batch), archive.add_run(task)
    archive.forget()
    assert [info.key for info in archive.store.list("logs/")] == [kept]
    assert gone != kept
    assert archive.has(batch)
    archive.clock.advance(71 * DAY)
    archive.forget()
    assert list(archive.store.list("logs/")) == []
    assert archive.count(runs) == 0
    assert not archive.has(batch)


def test_a_node_stays_as_long_as_its_run(archive: Archive) -> None:
    run = archive.add(days=100, kind=JobKind.PIPELINE, ended_at=NOW - DAY)
    node = archive.add(days=100, parent_id=run.id, node="load")
    with archive.database.transaction() as tx:
        tx.execute(
            insert(pipeline_nodes).values(
                run_id=run.id, node="load", state="succeeded", version=1, attempt=1
            )
        )
    archive.forget()
    assert archive.has(node)
    archive.clock.advance(90 * DAY)
    archive.forget()
    assert not archive.has(run)
    assert not archive.has(node)
    assert archive.count(pipeline_nodes) == 0


def test_a_run_stays_as_long_as_its_backfill(archive: Archive) -> None:
    run = archive.add(days=100, kind=JobKind.PIPELINE)
    with archive.database.transaction() as tx:
        _backfill(tx, run)
    archive.forget()
    assert archive.has(run)
    with archive.database.transaction() as tx:
        tx.execute(update(backfills).values(ended_at=NOW))
    archive.forget()
    assert not archive.has(run)


def _backfill(tx: Tx, run: Job) -> None:
    tx.execute(
        insert(backfills).values(
            id="pbf_1", project_id=PROJECT, name="daily", revision=1, user_id="usr_1",
            parameter="day", parameters={}, first="2026-01-01", last="2026-01-01", parallel=1,
            state="running", version=1, created_at=NOW,
        )
    )  # fmt: skip
    tx.execute(
        insert(backfill_days).values(
            backfill_id="pbf_1", day="2026-01-01", state="failed", version=1, attempt=1,
            run_id=run.id, spent=0, reserved=0,
        )
    )  # fmt: skip


def test_a_result_that_is_there_still_goes_first(archive: Archive) -> None:
    job = archive.add(days=91)
    results = archive.retention.results
    writer = ResultWriter(
        archive.store, project_id=PROJECT, job_id=job.id, attempt=1, inline_bytes=0, chunk_bytes=1
    )
    writer.write(pa.record_batch({"n": [1]}))
    manifest = writer.close()
    with archive.database.transaction() as tx:
        results.save(
            tx, job_id=job.id, project_id=PROJECT, attempt=1, manifest=manifest,
            expires_at=NOW + DAY,
        )  # fmt: skip
    archive.retention.tick()
    assert archive.has(job)
    results.expire()
    archive.forget()
    assert not archive.has(job)


def test_keys_go_when_their_time_is_over(archive: Archive) -> None:
    with archive.database.transaction() as tx:
        for name, hours in (("old", 25), ("young", 23)):
            use = KeyUse(job_id=JobId("stm_1"), body_hash="")
            idempotency.take(tx, PROJECT, name, use=use, at=NOW - timedelta(hours=hours))
    archive.forget()
    with archive.database.read() as tx:
        assert tx.execute(select(idempotency_keys.c.key)).scalars().all() == ["young"]


def test_reports_and_bills_stay_what_they_were(archive: Archive) -> None:
    allowance = PricedAllowance(read_price_book(), archive.clock)
    ending = Ending(allowance=allowance, sink=UsageLedger())
    at = NOW + DAY
    quantities = {SCAN_BYTES: 10**12}
    quote = allowance.quote(price_class="standard", quantities=quantities, at=at)
    spec = replace(make_job().statement, labels={"team": "sales"})
    job = archive.add(days=-1, quote=quote, spec=spec)
    with archive.database.transaction() as tx:
        allowance.reserve(tx, job_id=job.id, project_id=PROJECT, quote=quote, cap=None)
        ending.close(tx, job, used=quantities, at=at)
    groups = ("queue", "state", "engine", "label:team", "day")

    def report() -> object:
        with archive.database.read() as tx:
            return usage_report(
                tx, project_id=PROJECT, start=at, end=at + DAY, group_by=groups, currency="USD"
            ), find_bill(tx, PROJECT, job.id)

    before = report()
    archive.clock.advance(92 * DAY)
    archive.forget()
    assert not archive.has(job)
    assert report() == before
    assert before != ((), None)
