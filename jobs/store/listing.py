"""Jobs of a project, newest first, page by page."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Select, select

from jobs.store.jobs import job_of, summary_of
from jobs.store.rows import job_labels, jobs
from jobs.views import JobFilter, JobView, Progress
from storage.base.ids import ProjectId
from storage.meta.database import Tx
from storage.meta.paging import InvalidCursorError, Page, decode_cursor, encode_cursor

MOST = 1000  # jobs on a page


def page(
    tx: Tx, project_id: ProjectId, wanted: JobFilter, *, cursor: str | None, limit: int
) -> Page[JobView]:
    """At most ``limit`` jobs. Raises ``InvalidCursorError``.

    Ids sort by the time of the submit, so the last id of a page is the whole sort key.
    """
    limit = max(1, min(limit, MOST))
    query = _filtered(project_id, wanted).order_by(jobs.c.id.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(jobs.c.id < _last_id(cursor))
    rows = tx.execute(query).all()
    views = tuple(view_of(row) for row in rows[:limit])
    more = len(rows) > limit
    return Page(items=views, next_cursor=encode_cursor([views[-1].job.id]) if more else None)


def view_of(row: Row[Any]) -> JobView:
    """A job without its history, its wait and its result."""
    summary = summary_of(row)
    return JobView(
        job=job_of(row),
        cost=summary.cost,
        findings=summary.findings,
        timings=row.timings or {},
        progress=Progress(rows=row.progress_rows, bytes=row.progress_bytes),
        usage=row.usage or {},
        facts=row.facts or {},
    )


def _filtered(project_id: ProjectId, wanted: JobFilter) -> Select[Any]:
    query = select(jobs).where(jobs.c.project_id == project_id)
    if wanted.kinds:
        query = query.where(jobs.c.kind.in_(sorted(kind.value for kind in wanted.kinds)))
    if wanted.parent_id is not None:
        query = query.where(jobs.c.parent_id == wanted.parent_id)
    if wanted.states:
        query = query.where(jobs.c.state.in_(sorted(state.value for state in wanted.states)))
    if wanted.queue is not None:
        query = query.where(jobs.c.queue == wanted.queue)
    if wanted.engine is not None:
        query = query.where(jobs.c.engine == wanted.engine.value)
    if wanted.created_from is not None:
        query = query.where(jobs.c.created_at >= wanted.created_from)
    if wanted.created_to is not None:
        query = query.where(jobs.c.created_at < wanted.created_to)
    for name, value in wanted.labels.items():
        labelled = select(job_labels.c.job_id).where(
            job_labels.c.project_id == project_id,
            job_labels.c.name == name,
            job_labels.c.value == value,
        )
        query = query.where(jobs.c.id.in_(labelled))
    return query


def _last_id(cursor: str) -> str:
    values = decode_cursor(cursor)
    if len(values) != 1 or not isinstance(values[0], str):
        raise InvalidCursorError(
            "the cursor is of another list", hint="use the next cursor of an earlier page"
        )
    return values[0]
