"""A page of the list of jobs where there are a million, by the filters that people use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from benchmarks.measuring import Context, Row, percentile
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName, JobKind, StatementSpec
from jobs.lifecycle.states import JobState
from jobs.store import listing
from jobs.store.jobs import Summary, row_values
from jobs.store.rows import job_labels, jobs
from jobs.views import JobFilter
from storage.base.ids import JobId, ProjectId, UserId, new_id
from storage.meta.database import Database
from storage.meta.schema import METADATA

_PROJECT = ProjectId("default")
_BATCH = 10_000
_START = datetime(2026, 1, 1, tzinfo=UTC)


def run(context: Context) -> Iterator[Row]:
    """The first page, one deep in the list, and pages of a state, a label and a pipeline run."""
    count = 100_000 if context.quick else 1_000_000
    folder = context.home("job-list")
    with closing(Database(f"sqlite:///{folder / 'meta.db'}")) as database:
        with database.transaction() as tx:
            METADATA.create_all(tx)
        _fill(database, count)
        with closing(Database(f"sqlite:///{folder / 'few.db'}")) as small:
            with small.transaction() as tx:
                METADATA.create_all(tx)
            _fill(small, 1_000)
            for name, wanted in _FILTERS.items():
                yield Row(
                    name=f"list of {count:,} jobs, a page of 100, {name}, p50",
                    value=_p50(database, wanted),
                    unit="ms",
                    baseline=_p50(small, wanted),
                    beside="of 1,000 jobs",
                )


_FILTERS: dict[str, JobFilter] = {
    "all": JobFilter(),
    "failed": JobFilter(states=frozenset({JobState.FAILED})),
    "running (none)": JobFilter(states=frozenset({JobState.RUNNING})),
    "a label": JobFilter(labels={"team": "7"}),
    "a day": JobFilter(
        created_from=_START + timedelta(days=3), created_to=_START + timedelta(days=4)
    ),
}


def _p50(database: Database, wanted: JobFilter) -> float:
    """Of pages one after the other, from the first."""
    took, cursor = [], None
    for _ in range(20):
        began = time.perf_counter()
        with database.read() as tx:
            page = listing.page(tx, _PROJECT, wanted, cursor=cursor, limit=100)
        took.append((time.perf_counter() - began) * 1000)
        cursor = page.next_cursor
    return percentile(took, 0.5)


def _fill(database: Database, count: int) -> None:
    """Jobs of a year, one of a hundred failed, each with one of a thousand labels."""
    every = timedelta(days=365) / count
    for start in range(0, count, _BATCH):
        made = [_job(number, _START + every * number) for number in range(start, start + _BATCH)]
        made = made[: count - start]
        labels = [
            {
                "job_id": job.id,
                "project_id": job.project_id,
                "name": "team",
                "value": str((start + index) % 1000),
            }
            for index, job in enumerate(made)
        ]
        with database.transaction() as tx:
            tx.execute(insert(jobs), [row_values(job, Summary()) for job in made])
            tx.execute(insert(job_labels), labels)


def _job(number: int, at: datetime) -> Job:
    state = JobState.FAILED if number % 100 == 0 else JobState.FINISHED
    return replace(_PATTERN, id=JobId(new_id("stm", at)), state=state, created_at=at, ended_at=at)


_PATTERN = Job(
    id=JobId("stm_0"),
    kind=JobKind.STATEMENT,
    project_id=_PROJECT,
    user_id=UserId("usr_1"),
    queue="default",
    spec=StatementSpec(
        sql="SELECT count(*) FROM orders",
        database="default",
        engine=EngineName.SAIL,
        engine_reason="queue default",
        statement_type="query",
        timeout=timedelta(hours=1),
        result_ttl=timedelta(hours=24),
        max_rows=1000,
    ),
    state=JobState.FINISHED,
    version=5,
    attempt=1,
    max_attempts=3,
    created_at=_START,
)
