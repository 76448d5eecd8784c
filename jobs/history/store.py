"""Attempts in rows: written when one ends, read to size and to time the next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from jobs.history.rows import history
from jobs.lifecycle.spec import JobKind
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx

KEPT = 20  #: attempts of a fingerprint that are kept
_MILLISECOND = timedelta(milliseconds=1)

FINISHED = "finished"
MEMORY = "memory"  #: it ended for want of memory
FAILED = "failed"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One attempt: what it was given and what it used. None: nobody measured it."""

    job_id: JobId
    attempt: int
    project_id: ProjectId
    queue: str
    fingerprint: str
    kind: JobKind
    outcome: str
    at: datetime
    wall: timedelta
    cpu_ms: int | None = None
    peak_memory: int | None = None  #: bytes
    spill_bytes: int | None = None
    cpu_millis: int = 0  #: of the whole job, as reserved
    memory_bytes: int = 0  #: likewise


def note(tx: Tx, seen: Observation) -> None:
    """Keep one, once, and drop those of the fingerprint that are long past."""
    values = {
        "job_id": seen.job_id,
        "attempt": seen.attempt,
        "project_id": seen.project_id,
        "queue": seen.queue,
        "fingerprint": seen.fingerprint,
        "kind": seen.kind.value,
        "outcome": seen.outcome,
        "at": seen.at,
        "wall_ms": seen.wall // _MILLISECOND,
        "cpu_ms": seen.cpu_ms,
        "peak_memory": seen.peak_memory,
        "spill_bytes": seen.spill_bytes,
        "cpu_millis": seen.cpu_millis,
        "memory_bytes": seen.memory_bytes,
    }
    tx.execute(_INSERT[tx.dialect.name], values)
    key = {"project": seen.project_id, "print": seen.fingerprint, "kept": KEPT}
    oldest = tx.execute(_OLDEST_KEPT, key).scalar()
    if oldest is not None:
        tx.execute(_FORGET, {**key, "oldest": oldest})


def recent(tx: Tx, project_id: ProjectId, fingerprint: str) -> tuple[Observation, ...]:
    """The last attempts at the same work in the project, newest first."""
    rows = tx.execute(_RECENT, {"project": project_id, "print": fingerprint, "most": KEPT})
    return tuple(_observation(row) for row in rows)


def pace(tx: Tx, project_id: ProjectId, queue: str) -> timedelta | None:
    """How long attempts in the queue took lately: the middle one; None when none is known."""
    rows = tx.execute(_PACE, {"project": project_id, "queue": queue, "most": KEPT}).all()
    if not rows:
        return None
    middle: int = sorted(row.wall_ms for row in rows)[len(rows) // 2]
    return middle * _MILLISECOND


def _observation(row: Row[Any]) -> Observation:
    return Observation(
        job_id=row.job_id,
        attempt=row.attempt,
        project_id=row.project_id,
        queue=row.queue,
        fingerprint=row.fingerprint,
        kind=JobKind(row.kind),
        outcome=row.outcome,
        at=row.at,
        wall=row.wall_ms * _MILLISECOND,
        cpu_ms=row.cpu_ms,
        peak_memory=row.peak_memory,
        spill_bytes=row.spill_bytes,
        cpu_millis=row.cpu_millis,
        memory_bytes=row.memory_bytes,
    )


_INSERT: dict[str, Any] = {
    name: dialect.insert(history).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
_SAME = (
    history.c.project_id == bindparam("project"),
    history.c.fingerprint == bindparam("print"),
)
_RECENT = select(history).where(*_SAME).order_by(history.c.at.desc()).limit(bindparam("most"))
_OLDEST_KEPT = (
    select(history.c.at)
    .where(*_SAME)
    .order_by(history.c.at.desc())
    .limit(1)
    .offset(bindparam("kept"))
)
_FORGET = delete(history).where(*_SAME, history.c.at <= bindparam("oldest"))
_PACE = (
    select(history.c.wall_ms)
    .where(history.c.project_id == bindparam("project"), history.c.queue == bindparam("queue"))
    .order_by(history.c.at.desc())
    .limit(bindparam("most"))
)
