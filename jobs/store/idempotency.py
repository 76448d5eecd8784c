"""One job for one key, for as long as keys are kept, on whichever replica it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from jobs.store.rows import idempotency_keys
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx
from storage.meta.prepared import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """What a key was used for."""

    job_id: JobId
    body_hash: str


def find(tx: Tx, project_id: ProjectId, key: str) -> KeyUse | None:
    """The use of ``key`` in the project, if it is kept still."""
    row = _SELECT.first(tx, {"project": project_id, "name": key})
    return None if row is None else KeyUse(job_id=row.job_id, body_hash=row.body_hash)


def take(tx: Tx, project_id: ProjectId, key: str, *, use: KeyUse, at: datetime) -> bool:
    """Keep ``use`` with the job, in its transaction; false when another took the key first.

    On PostgreSQL this waits for the end of a transaction that is about to take the same key.
    """
    values = {
        "project_id": project_id,
        "key": key,
        "body_hash": use.body_hash,
        "job_id": use.job_id,
        "created_at": at,
    }
    return _INSERT.first(tx, values) is not None


def forget(tx: Tx, *, before: datetime, most: int = 1000) -> int:
    """Drop keys that were taken before that moment, ``most`` at a time; how many."""
    key = idempotency_keys.c.project_id, idempotency_keys.c.key
    old = select(*key).where(idempotency_keys.c.created_at < before).limit(most)
    return tx.execute(delete(idempotency_keys).where(tuple_(*key).in_(old))).rowcount


_SELECT = Prepared(
    select(idempotency_keys.c.job_id, idempotency_keys.c.body_hash).where(
        idempotency_keys.c.project_id == bindparam("project"),
        idempotency_keys.c.key == bindparam("name"),
    )
)
_INSERT = Prepared(
    {
        "sqlite": sqlite.insert(idempotency_keys)
        .on_conflict_do_nothing()
        .returning(idempotency_keys.c.job_id),
        "postgresql": postgresql.insert(idempotency_keys)
        .on_conflict_do_nothing()
        .returning(idempotency_keys.c.job_id),
    }
)
