"""A POST that is repeated with its key is done once (all but statements, which have their own).

The key is taken in one transaction before the work and the answer is kept after it. A process that
dies in between leaves a key without an answer: repeats are told to wait, and after ``_ABANDONED``
the work may be tried again. Answers with secrets are kept without them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from starlette.responses import Response

from dli.api.rows import api_replies
from dli.api.wire import dumps, json_response
from dli.services import Services
from jobs.service import IdempotencyConflictError
from storage.base.errors import ConflictError
from storage.base.ids import ProjectId
from storage.meta.database import Database, Tx
from storage.meta.inserts import insert_into

KEPT = timedelta(hours=24)
_ABANDONED = timedelta(minutes=2)


class RequestUnderWayError(ConflictError):
    """The first request with this key has not ended yet."""

    code = "request_under_way"
    retryable = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """A request as far as its repeats are concerned; without ``key`` it may be done again."""

    project_id: ProjectId
    key: str | None
    path: str
    body: object


Work = Callable[[], tuple[int, Mapping[str, Any]]]


def do_once(services: Services, once: Once, work: Work, *, secret: str | None = None) -> Response:
    """Do ``work`` unless a request with this key did it; answers its status and body.

    ``secret`` names a field of the body that is given in the first answer only. An error that
    ``work`` raises is not kept: the key may be used again.
    """
    if once.key is None:
        status, body = work()
        return json_response(body, status)
    database, now = services.database, services.clock.now()
    request_hash = hashlib.sha256(dumps([once.path, once.body])).hexdigest()
    kept = _take(database, once, request_hash, now)
    if kept is not None:
        return json_response(kept[1], kept[0], {"Idempotency-Replayed": "true"})
    here = (api_replies.c.project_id == once.project_id) & (api_replies.c.key == once.key)
    done = False
    try:
        status, body = work()
        done = True
    finally:
        if not done:
            with database.transaction() as tx:
                tx.execute(delete(api_replies).where(here, api_replies.c.status.is_(None)))
    shown = {name: None if name == secret else value for name, value in body.items()}
    with database.transaction() as tx:
        tx.execute(update(api_replies).where(here).values(status=status, body=shown))
    return json_response(body, status)


def forget_replies(database: Database, now: datetime) -> int:
    """Drop the answers that are older than ``KEPT``; returns how many."""
    with database.transaction() as tx:
        old = delete(api_replies).where(api_replies.c.created_at < now - KEPT)
        return len(tx.execute(old.returning(api_replies.c.key)).all())


def _take(
    database: Database, once: Once, request_hash: str, now: datetime
) -> tuple[int, Any] | None:
    """Take the key, or give the answer that was kept under it."""
    with database.transaction() as tx:
        if _insert(tx, once, request_hash, now):
            return None
        here = (api_replies.c.project_id == once.project_id) & (api_replies.c.key == once.key)
        row = tx.execute(select(api_replies).where(here)).one()
        if row.request_hash != request_hash:
            raise IdempotencyConflictError(
                "this Idempotency-Key was used for another request", hint="choose a new key"
            )
        if row.status is not None:
            return row.status, row.body
        taken = tx.execute(
            update(api_replies)
            .where(here, api_replies.c.created_at < now - _ABANDONED)
            .values(created_at=now)
            .returning(api_replies.c.key)
        ).first()
        if taken is None:
            raise RequestUnderWayError(
                "the first request with this Idempotency-Key has not ended", hint="ask again soon"
            )
        return None


def _insert(tx: Tx, once: Once, request_hash: str, now: datetime) -> bool:
    statement = (
        insert_into(tx, api_replies)
        .values(project_id=once.project_id, key=once.key, request_hash=request_hash, created_at=now)
        .on_conflict_do_nothing()
        .returning(api_replies.c.key)
    )
    return tx.execute(statement).first() is not None
