"""Triggers in rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from jobs.store.codec import from_json, to_json
from jobs.triggers.rows import trigger_objects, triggers
from jobs.triggers.spec import (
    Condition,
    HookCalled,
    JobEnds,
    ObjectAppears,
    Trigger,
    TriggerExistsError,
    TriggerMissingError,
)
from storage.base.errors import Failure
from storage.base.ids import ProjectId
from storage.meta.database import Tx

KINDS: dict[type[Condition], str] = {ObjectAppears: "object", HookCalled: "webhook", JobEnds: "job"}


def create(tx: Tx, trigger: Trigger) -> None:
    """Raises ``TriggerExistsError``."""
    taken = TriggerExistsError(f"there is a trigger {trigger.name!r} already", trigger=trigger.name)
    if _find(tx, trigger.project_id, trigger.name) is not None:
        raise taken
    polled = isinstance(trigger.on, ObjectAppears) and not trigger.paused
    try:
        tx.execute(
            insert(triggers).values(
                id=trigger.id,
                project_id=trigger.project_id,
                name=trigger.name,
                kind=KINDS[type(trigger.on)],
                condition=to_json(trigger.on),
                document=dict(trigger.document),
                user_id=trigger.user_id,
                paused=trigger.paused,
                secret=trigger.secret,
                next_poll_at=trigger.created_at if polled else None,
                created_at=trigger.created_at,
            )
        )
    except IntegrityError as error:  # another replica was first
        raise taken from error


def get(tx: Tx, project_id: ProjectId, name: str) -> Trigger:
    """Raises ``TriggerMissingError``."""
    found = _find(tx, project_id, name)
    if found is None:
        raise TriggerMissingError(
            f"there is no trigger {name!r}", hint="`dli trigger list` has them", trigger=name
        )
    return found


def by_id(tx: Tx, trigger_id: str) -> Trigger | None:
    """The trigger of that id, of whatever project."""
    row = tx.execute(select(triggers).where(triggers.c.id == trigger_id)).first()
    return None if row is None else trigger_of(row)


def every(tx: Tx, project_id: ProjectId) -> tuple[Trigger, ...]:
    """Those of the project, by name."""
    rows = tx.execute(
        select(triggers).where(triggers.c.project_id == project_id).order_by(triggers.c.name)
    )
    return tuple(trigger_of(row) for row in rows)


def on_jobs(tx: Tx, project_id: ProjectId) -> tuple[Trigger, ...]:
    """Those of the project that ends of jobs pull."""
    return tuple(trigger_of(row) for row in tx.execute(_ON_JOBS, {"project": project_id}))


def remove(tx: Tx, trigger_id: str) -> None:
    """With what it has seen; its firings are left to the caller."""
    tx.execute(delete(trigger_objects).where(trigger_objects.c.trigger_id == trigger_id))
    tx.execute(delete(triggers).where(triggers.c.id == trigger_id))


def set_paused(tx: Tx, trigger: Trigger, paused: bool, *, now: datetime) -> None:
    """Pause or resume; an object that appeared meanwhile is new then."""
    polled = isinstance(trigger.on, ObjectAppears) and not paused
    tx.execute(
        update(triggers)
        .where(triggers.c.id == trigger.id)
        .values(paused=paused, next_poll_at=now if polled else None)
    )


def any_poll(tx: Tx, *, now: datetime, but: Collection[str]) -> bool:
    """Whether somebody has to look for objects, ``but`` for these triggers."""
    return tx.execute(_POLL, {"now": now, "but": list(but)}).first() is not None


def claim_poll(tx: Tx, *, now: datetime, but: Collection[str]) -> Trigger | None:
    """The one that waits longest for a look, ``but`` for these. This puts its next look off."""
    row = tx.execute(
        select(triggers)
        .where(triggers.c.next_poll_at <= now, triggers.c.id.not_in(but))
        .order_by(triggers.c.next_poll_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is None:
        return None
    trigger = trigger_of(row)
    assert isinstance(trigger.on, ObjectAppears)
    tx.execute(
        update(triggers)
        .where(triggers.c.id == trigger.id)
        .values(next_poll_at=now + trigger.on.every)
    )
    return trigger


def polled(
    tx: Tx,
    trigger_id: str,
    *,
    at: datetime,
    error: Failure | None,
    next_at: datetime | None = None,
) -> None:
    """Keep how a look ended, and when the next one is due, if not at the claimed moment."""
    values: dict[str, Any] = {"error": None if error is None else to_json(error)}
    if error is None:
        values["polled_at"] = at
    if next_at is not None:
        values["next_poll_at"] = next_at
    alive = (triggers.c.id == trigger_id) & triggers.c.paused.is_(False)
    tx.execute(update(triggers).where(alive).values(values))


def unseen(tx: Tx, trigger_id: str, digests: Sequence[str]) -> set[str]:
    """Those of these objects that were not seen before."""
    fresh = set(digests)
    for start in range(0, len(digests), 500):
        rows = tx.execute(
            select(trigger_objects.c.digest).where(
                trigger_objects.c.trigger_id == trigger_id,
                trigger_objects.c.digest.in_(digests[start : start + 500]),
            )
        )
        fresh -= {row.digest for row in rows}
    return fresh


def see(tx: Tx, trigger_id: str, digests: Sequence[str], *, at: datetime) -> set[str]:
    """Mark objects as seen; those that nobody marked before."""
    marked: set[str] = set()
    for start in range(0, len(digests), 500):
        values = [
            {"trigger_id": trigger_id, "digest": digest, "seen_at": at}
            for digest in digests[start : start + 500]
        ]
        marked |= {row.digest for row in tx.execute(_SEE[tx.dialect.name].values(values))}
    return marked


def forget_gone(
    tx: Tx, trigger_id: str, present: Collection[str], *, before: datetime, at: datetime
) -> None:
    """Forget what was seen before that moment and is not ``present``; the rest is seen again."""
    old = (trigger_objects.c.trigger_id == trigger_id) & (trigger_objects.c.seen_at < before)
    digests = tx.execute(select(trigger_objects.c.digest).where(old)).scalars().all()
    for start in range(0, len(digests), 500):
        some = digests[start : start + 500]
        gone = [digest for digest in some if digest not in present]
        tx.execute(delete(trigger_objects).where(old, trigger_objects.c.digest.in_(gone)))
        still = update(trigger_objects).where(old, trigger_objects.c.digest.in_(some))
        tx.execute(still.values(seen_at=at))


def trigger_of(row: Row[Any]) -> Trigger:
    """The trigger of a whole row."""
    kind: Any = Condition
    return Trigger(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        on=from_json(kind, row.condition),
        document=row.document,
        user_id=row.user_id,
        created_at=row.created_at,
        paused=row.paused,
        secret=row.secret,
        polled_at=row.polled_at,
        error=None if row.error is None else from_json(Failure, row.error),
    )


def _find(tx: Tx, project_id: ProjectId, name: str) -> Trigger | None:
    row = tx.execute(
        select(triggers).where(triggers.c.project_id == project_id, triggers.c.name == name)
    ).first()
    return None if row is None else trigger_of(row)


_ON_JOBS = select(triggers).where(
    triggers.c.project_id == bindparam("project"),
    triggers.c.kind == KINDS[JobEnds],
    triggers.c.paused.is_(False),
)
_POLL = (
    select(triggers.c.id)
    .where(
        triggers.c.next_poll_at <= bindparam("now"),
        triggers.c.id.not_in(bindparam("but", expanding=True)),
    )
    .limit(1)
)
_SEE: dict[str, Any] = {
    name: dialect.insert(trigger_objects)
    .on_conflict_do_nothing()
    .returning(trigger_objects.c.digest)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
