"""Webhooks and their outbox in rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from jobs.lifecycle.spec import JobKind
from jobs.notices.rows import deliveries, webhooks
from jobs.notices.spec import (
    Delivery,
    DeliveryState,
    NoticeEvent,
    Webhook,
    WebhookExistsError,
    WebhookMissingError,
)
from jobs.store.codec import from_json, to_json
from storage.base.errors import Failure
from storage.base.ids import ProjectId
from storage.meta.database import Tx
from storage.meta.paging import InvalidCursorError, Page, decode_cursor, encode_cursor

MOST = 1000


def create(tx: Tx, webhook: Webhook) -> None:
    """Raises ``WebhookExistsError``."""
    taken = WebhookExistsError(f"there is a webhook {webhook.name!r} already", webhook=webhook.name)
    if _find(tx, webhook.project_id, webhook.name) is not None:
        raise taken
    try:
        tx.execute(
            insert(webhooks).values(
                id=webhook.id,
                project_id=webhook.project_id,
                name=webhook.name,
                url=webhook.url,
                events=[event.value for event in webhook.events],
                kinds=[kind.value for kind in webhook.kinds],
                labels=dict(webhook.labels),
                secret=webhook.secret,
                user_id=webhook.user_id,
                created_at=webhook.created_at,
            )
        )
    except IntegrityError as error:  # another replica was first
        raise taken from error


def get(tx: Tx, project_id: ProjectId, name: str) -> Webhook:
    """Raises ``WebhookMissingError``."""
    found = _find(tx, project_id, name)
    if found is None:
        raise WebhookMissingError(
            f"there is no webhook {name!r}", hint="`dli webhook list` has them", webhook=name
        )
    return found


def every(tx: Tx, project_id: ProjectId) -> tuple[Webhook, ...]:
    """Those of the project, by name."""
    return tuple(sorted(_every(tx, project_id), key=lambda webhook: webhook.name))


def by_id(tx: Tx, webhook_id: str) -> Webhook | None:
    """The webhook, if it exists still."""
    row = tx.execute(select(webhooks).where(webhooks.c.id == webhook_id)).first()
    return None if row is None else _webhook_of(row)


def remove(tx: Tx, project_id: ProjectId, name: str) -> None:
    """With what was to be delivered to it. Raises ``WebhookMissingError``."""
    webhook = get(tx, project_id, name)
    drop(tx, webhook.id)
    tx.execute(delete(webhooks).where(webhooks.c.id == webhook.id))


def drop(tx: Tx, webhook_id: str) -> None:
    """Forget what was delivered to it, or was to be."""
    tx.execute(delete(deliveries).where(deliveries.c.webhook_id == webhook_id))


def post(tx: Tx, new: Sequence[Delivery]) -> None:
    """Put notifications into the outbox."""
    if new:
        tx.execute(_INSERT, [_delivery_values(delivery) for delivery in new])


def any_due(tx: Tx, *, now: datetime) -> bool:
    """Whether there is something to send."""
    return tx.execute(_DUE, {"now": now}).first() is not None


def claim(tx: Tx, *, now: datetime, until: datetime) -> Delivery | None:
    """Take the oldest that is due, for as long as nobody else sends it."""
    due = tx.execute(_DUE_FIRST, {"now": now}).first()
    if due is None:
        return None
    row = tx.execute(
        update(deliveries)
        .where(deliveries.c.id == due.id)
        .values(next_at=until)
        .returning(deliveries)
    ).one()
    return delivery_of(row)


def postpone(tx: Tx, webhook_id: str, *, until: datetime) -> None:
    """Send nothing to this webhook before."""
    pending = deliveries.c.state == DeliveryState.PENDING.value
    tx.execute(
        update(deliveries)
        .where(deliveries.c.webhook_id == webhook_id, pending, deliveries.c.next_at < until)
        .values(next_at=until)
    )


def settle(tx: Tx, delivery: Delivery) -> None:
    """Keep what an attempt came to."""
    tx.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery.id)
        .values(
            state=delivery.state.value,
            attempts=delivery.attempts,
            next_at=delivery.next_at,
            status=delivery.status,
            error=None if delivery.error is None else to_json(delivery.error),
            ended_at=delivery.ended_at,
        )
    )


def page(tx: Tx, webhook_id: str, *, cursor: str | None, limit: int) -> Page[Delivery]:
    """Newest first. Raises ``InvalidCursorError``."""
    limit = max(1, min(limit, MOST))
    query = (
        select(deliveries)
        .where(deliveries.c.webhook_id == webhook_id)
        .order_by(deliveries.c.id.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        values = decode_cursor(cursor)
        if len(values) != 1 or not isinstance(values[0], str):
            raise InvalidCursorError("the cursor is of another list", hint="start without one")
        query = query.where(deliveries.c.id < values[0])
    found = [delivery_of(row) for row in tx.execute(query)]
    items = tuple(found[:limit])
    more = len(found) > limit
    return Page(items=items, next_cursor=encode_cursor([items[-1].id]) if more else None)


def forget(tx: Tx, *, now: datetime, kept: timedelta, most: int = 1000) -> int:
    """Drop what ended before ``kept``, ``most`` at a time; how many."""
    old = select(deliveries.c.id).where(deliveries.c.ended_at < now - kept).limit(most)
    return tx.execute(delete(deliveries).where(deliveries.c.id.in_(old))).rowcount


def delivery_of(row: Row[Any]) -> Delivery:
    """The delivery of a whole row."""
    return Delivery(
        id=row.id,
        webhook_id=row.webhook_id,
        project_id=row.project_id,
        event=NoticeEvent(row.event),
        job_id=row.job_id,
        body=row.body,
        created_at=row.created_at,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        next_at=row.next_at,
        ended_at=row.ended_at,
        status=row.status,
        error=None if row.error is None else from_json(Failure, row.error),
    )


def _every(tx: Tx, project_id: ProjectId) -> list[Webhook]:
    return [_webhook_of(row) for row in tx.execute(_OF_PROJECT, {"project": project_id})]


def _find(tx: Tx, project_id: ProjectId, name: str) -> Webhook | None:
    row = tx.execute(
        select(webhooks).where(webhooks.c.project_id == project_id, webhooks.c.name == name)
    ).first()
    return None if row is None else _webhook_of(row)


def _webhook_of(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        url=row.url,
        user_id=row.user_id,
        created_at=row.created_at,
        events=tuple(NoticeEvent(event) for event in row.events),
        kinds=tuple(JobKind(kind) for kind in row.kinds),
        labels=row.labels,
        secret=row.secret,
    )


def _delivery_values(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "project_id": delivery.project_id,
        "event": delivery.event.value,
        "job_id": delivery.job_id,
        "body": dict(delivery.body),
        "state": delivery.state.value,
        "attempts": 0,
        "next_at": delivery.created_at,
        "created_at": delivery.created_at,
    }


_INSERT = insert(deliveries)
_OF_PROJECT = select(webhooks).where(webhooks.c.project_id == bindparam("project"))
_DUE = (
    select(deliveries.c.id)
    .where(
        deliveries.c.state == DeliveryState.PENDING.value,
        deliveries.c.next_at <= bindparam("now"),
    )
    .limit(1)
)
_DUE_FIRST = _DUE.order_by(deliveries.c.next_at, deliveries.c.id).with_for_update(skip_locked=True)
