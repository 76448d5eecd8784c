"""Rows of what launchers start: the intent before the start, and how it ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    insert,
    select,
    update,
)

from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName
from jobs.views import AttemptView, Obstacle
from storage.base.ids import JobId, ProjectId, RunId
from storage.meta.database import Tx
from storage.meta.inserts import insert_into
from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

#: ``owner`` is the replica that launched it and sees it live (``seen_at``); a run never outlives
#: its owner, so one whose owner is silent has ended. ``ended_at`` None: it may live.
runs = Table(
    "runs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("queue", String(128), nullable=False),
    Column("engine", String(16)),  # None: a task
    Column("kind", String(16), nullable=False, server_default="engine"),  # else batch, task
    Column("job_id", String(64), index=True),  # None: an engine, which serves many
    Column("attempt", Integer),
    Column("owner", String(128), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ready_at", UtcDateTime),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("exit_code", Integer),
    Column("reason", Text),
    Column("cpu_ms", BigInteger, nullable=False, server_default="0"),
    Column("peak_memory", BigInteger),  # bytes, of all its processes
    Column("cpu_millis", BigInteger, nullable=False, server_default="0"),  # what it may use
    Column("memory_bytes", BigInteger, nullable=False, server_default="0"),  # likewise
    Column("facts", Json),  # what its work told of itself: stages, bytes, spill
    Column("image", String(512)),  # of its pod, as far as the service named one
    Column("obstacle", Json),  # what keeps it or its executors from starting now
    Column("log_removed_at", UtcDateTime),  # what it wrote was kept for so long as it is
    Index(None, "ended_at", "owner"),
)

_SILENT = "its service is silent"  # the reason of those that nobody speaks of any more


def plan_run(
    tx: Tx,
    *,
    run_id: RunId,
    project_id: ProjectId,
    queue: str,
    engine: EngineName,
    owner: str,
    at: datetime,
    image: str | None = None,
    cpu_millis: int = 0,
    memory_bytes: int = 0,
) -> None:
    """Write down that this run will be launched, and what it may use."""
    tx.execute(
        insert(runs).values(
            id=run_id,
            project_id=project_id,
            queue=queue,
            engine=engine.value,
            image=image,
            owner=owner,
            created_at=at,
            seen_at=at,
            cpu_millis=cpu_millis,
            memory_bytes=memory_bytes,
        )
    )


def plan_job_run(
    tx: Tx, *, run_id: RunId, job: Job, engine: str | None, owner: str, at: datetime
) -> None:
    """Write down that the run of the job's current attempt will be launched; twice is once."""
    values = {
        "id": run_id,
        "project_id": job.project_id,
        "queue": job.queue,
        "engine": engine,
        "kind": job.kind.value,
        "job_id": job.id,
        "attempt": job.attempt,
        "owner": owner,
        "created_at": at,
        "seen_at": at,
        "cpu_millis": job.cpu_millis,
        "memory_bytes": job.memory_bytes,
    }
    tx.execute(insert_into(tx, runs).values(values).on_conflict_do_nothing())


def keep_run_facts(tx: Tx, run_id: RunId, facts: Mapping[str, Any]) -> None:
    """What the work of a run told of itself."""
    tx.execute(update(runs).where(runs.c.id == run_id).values(facts=dict(facts)))


def tell_obstacle(tx: Tx, run_id: RunId, obstacle: Obstacle | None) -> None:
    """What keeps pods of a run from starting now; None: nothing does."""
    told = None if obstacle is None else asdict(obstacle)
    tx.execute(update(runs).where(runs.c.id == run_id).values(obstacle=told))


def obstacle_for(tx: Tx, job: Job, engine: EngineName | None) -> Obstacle | None:
    """What is in the way of the job's run, or of the ``engine`` that it uses or waits for."""
    own = runs.c.job_id == job.id
    if engine is not None:
        place = runs.c.project_id == job.project_id, runs.c.queue == job.queue
        own |= and_(runs.c.job_id.is_(None), *place, runs.c.engine == engine.value)
    query = select(runs.c.obstacle).where(runs.c.ended_at.is_(None), own)
    for told in tx.execute(query).scalars():
        if told is not None:
            return Obstacle(**told)
    return None


def runs_of(tx: Tx, job_id: JobId) -> tuple[AttemptView, ...]:
    """The runs of a job's attempts, in order."""
    rows = tx.execute(select(runs).where(runs.c.job_id == job_id).order_by(runs.c.attempt))
    return tuple(
        AttemptView(
            attempt=row.attempt,
            run_id=row.id,
            started_at=row.ready_at or row.created_at,
            ended_at=row.ended_at,
            exit_code=row.exit_code,
            reason=row.reason,
            cpu_ms=row.cpu_ms if row.ended_at else None,
            peak_memory=row.peak_memory,
            facts=row.facts or {},
        )
        for row in rows
    )


def run_log_removed_at(tx: Tx, job_id: JobId) -> datetime | None:
    """When what the last run of the job wrote was removed; None while it is kept."""
    removed = select(runs.c.log_removed_at).where(runs.c.job_id == job_id)
    return tx.execute(removed.order_by(runs.c.attempt.desc()).limit(1)).scalar()


def living_job_runs(tx: Tx, owner: str) -> frozenset[RunId]:
    """Runs of batches and tasks that ``owner`` launched and nobody saw the end of."""
    living = runs.c.owner == owner, runs.c.ended_at.is_(None), runs.c.job_id.is_not(None)
    return frozenset(RunId(row.id) for row in tx.execute(select(runs.c.id).where(*living)))


def living_of(tx: Tx, run_ids: Collection[RunId]) -> frozenset[RunId]:
    """Which of these runs nobody saw the end of."""
    living = runs.c.id.in_(sorted(run_ids)), runs.c.ended_at.is_(None)
    return frozenset(RunId(row.id) for row in tx.execute(select(runs.c.id).where(*living)))


def ready_run(tx: Tx, run_id: RunId, *, at: datetime) -> None:
    """It serves from now on."""
    tx.execute(update(runs).where(runs.c.id == run_id).values(ready_at=at, seen_at=at))


def end_run(
    tx: Tx,
    run_id: RunId,
    *,
    at: datetime,
    exit_code: int | None,
    reason: str,
    cpu: timedelta = timedelta(0),
    peak_memory: int | None = None,
) -> None:
    """It has ended; the first word on that stays."""
    ended: dict[str, Any] = {"ended_at": at, "exit_code": exit_code, "reason": reason}
    if peak_memory is not None:
        ended["peak_memory"] = peak_memory
    ended["cpu_ms"] = cpu // timedelta(milliseconds=1)
    tx.execute(update(runs).where(runs.c.id == run_id, runs.c.ended_at.is_(None)).values(ended))


def see_runs(tx: Tx, owner: str, *, at: datetime) -> None:
    """All living runs of ``owner`` live still."""
    tx.execute(
        update(runs).where(runs.c.owner == owner, runs.c.ended_at.is_(None)).values(seen_at=at)
    )


def end_owned(tx: Tx, owner: str, *, at: datetime) -> int:
    """End the engines that an earlier life of ``owner`` left; how many these were.

    Runs of jobs may live: the reaper sees to them.
    """
    lost = runs.c.owner == owner, runs.c.ended_at.is_(None), runs.c.job_id.is_(None)
    return tx.execute(
        update(runs).where(*lost).values(ended_at=at, reason="its service died")
    ).rowcount


def end_unseen(tx: Tx, *, before: datetime, at: datetime) -> int:
    """End the runs of owners that were silent since ``before``; how many these were."""
    lost = runs.c.seen_at < before, runs.c.ended_at.is_(None), runs.c.job_id.is_(None)
    return tx.execute(update(runs).where(*lost).values(ended_at=at, reason=_SILENT)).rowcount


def unseen(tx: Tx, *, since: datetime) -> tuple[RunId, ...]:
    """Those that ``end_unseen`` has ended since then."""
    rows = tx.execute(select(runs.c.id).where(runs.c.reason == _SILENT, runs.c.ended_at > since))
    return tuple(RunId(row.id) for row in rows)
