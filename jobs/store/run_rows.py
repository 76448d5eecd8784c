"""Rows of what launchers start: the intent before the start, and how it ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, insert, update

from jobs.lifecycle.spec import EngineName
from storage.base.ids import ProjectId, RunId
from storage.meta.database import Tx
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
    Index(None, "ended_at", "owner"),
)


def plan_run(
    tx: Tx,
    *,
    run_id: RunId,
    project_id: ProjectId,
    queue: str,
    engine: EngineName,
    owner: str,
    at: datetime,
) -> None:
    """Write down that this run will be launched."""
    tx.execute(
        insert(runs).values(
            id=run_id,
            project_id=project_id,
            queue=queue,
            engine=engine.value,
            owner=owner,
            created_at=at,
            seen_at=at,
        )
    )


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
) -> None:
    """It has ended; the first word on that stays."""
    ended: dict[str, Any] = {"ended_at": at, "exit_code": exit_code, "reason": reason}
    ended["cpu_ms"] = cpu // timedelta(milliseconds=1)
    tx.execute(update(runs).where(runs.c.id == run_id, runs.c.ended_at.is_(None)).values(ended))


def see_runs(tx: Tx, owner: str, *, at: datetime) -> None:
    """All living runs of ``owner`` live still."""
    tx.execute(
        update(runs).where(runs.c.owner == owner, runs.c.ended_at.is_(None)).values(seen_at=at)
    )


def end_owned(tx: Tx, owner: str, *, at: datetime) -> int:
    """End what an earlier life of ``owner`` left; how many these were."""
    lost = runs.c.owner == owner, runs.c.ended_at.is_(None)
    return tx.execute(
        update(runs).where(*lost).values(ended_at=at, reason="its service died")
    ).rowcount


def end_unseen(tx: Tx, *, before: datetime, at: datetime) -> int:
    """End the runs of owners that were silent since ``before``; how many these were."""
    lost = runs.c.seen_at < before, runs.c.ended_at.is_(None)
    return tx.execute(
        update(runs).where(*lost).values(ended_at=at, reason="its service is silent")
    ).rowcount
