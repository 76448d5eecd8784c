"""Firings in rows: added once, claimed, settled, listed, forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from jobs.firings.rows import firings
from jobs.firings.spec import LABEL_FIRING, Firing, FiringState, SkipReason
from jobs.lifecycle.states import TERMINAL, JobState
from jobs.store.codec import from_json, to_json
from jobs.store.rows import job_labels, jobs
from storage.base.errors import Failure
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx
from storage.meta.paging import InvalidCursorError, Page, decode_cursor, encode_cursor

MOST = 1000  # firings on a page
_OPEN = (FiringState.WAITING.value, FiringState.PENDING.value)


def add(tx: Tx, new: Sequence[Firing]) -> None:
    """Keep those whose source and cause are new."""
    if new:
        tx.execute(_INSERT[tx.dialect.name], [_values(firing) for firing in new])


def add_one(tx: Tx, firing: Firing) -> bool:
    """Keep it; false where its source and cause are there already."""
    insert = _INSERT[tx.dialect.name].returning(firings.c.id)
    return tx.execute(insert, _values(firing)).first() is not None


def any_pending(tx: Tx, *, now: datetime) -> bool:
    """Whether there is something to claim: a look that costs no turn at writing."""
    return tx.execute(_PENDING, {"now": now}).first() is not None


def claim(tx: Tx, *, now: datetime, until: datetime, most: int) -> list[Firing]:
    """Take pending ones that nobody else submits before ``until``, the oldest first."""
    ready = (
        select(firings.c.id)
        .where(firings.c.state == FiringState.PENDING.value, firings.c.not_before <= now)
        .order_by(firings.c.not_before, firings.c.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = [row.id for row in tx.execute(ready)]
    if not ids:
        return []
    taken = tx.execute(
        update(firings)
        .where(firings.c.id.in_(ids))
        .values(not_before=until, attempts=firings.c.attempts + 1)
        .returning(firings)
    )
    return sorted((firing_of(row) for row in taken), key=lambda firing: firing.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an attempt to submit came to; ``again_at`` None: for ever."""

    firing: Firing
    again_at: datetime | None = None


def settle(tx: Tx, outcome: Outcome) -> bool:
    """Keep what an attempt came to; false where the firing is not pending any more, or gone."""
    firing = outcome.firing
    values: dict[str, Any] = {
        "state": firing.state.value,
        "job_id": firing.job_id,
        "error": None if firing.error is None else to_json(firing.error),
        "ended_at": firing.ended_at,
    }
    if outcome.again_at is not None:
        values["not_before"] = outcome.again_at
    else:
        values |= {"document": None, "not_before": None}
        values["live"] = firing.exclusive and firing.state is FiringState.FIRED
    here = (firings.c.id == firing.id) & (firings.c.state == FiringState.PENDING.value)
    return tx.execute(update(firings).where(here).values(values)).rowcount > 0


def job_of(tx: Tx, project_id: ProjectId, firing_id: str) -> JobId | None:
    """The job that was submitted for it, if there is one: jobs are labelled with their firing."""
    found = tx.execute(
        select(job_labels.c.job_id).where(
            job_labels.c.project_id == project_id,
            job_labels.c.name == LABEL_FIRING,
            job_labels.c.value == firing_id,
        )
    ).scalar()
    return None if found is None else JobId(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """A firing of a source that another may have to wait for; ``job_id`` None: not submitted."""

    firing_id: str
    source_id: str
    state: FiringState
    job_id: JobId | None
    ended: bool  #: its job has ended, which is not marked yet
    cancelling: bool  #: its job was asked to end


def live(tx: Tx, source_ids: Collection[str]) -> list[Live]:
    """What runs, or is to run, of these sources, in the order in which it became due."""
    if not source_ids:
        return []
    rows = tx.execute(
        select(firings.c.id, firings.c.source_id, firings.c.state, firings.c.job_id, jobs.c.state)
        .outerjoin(jobs, jobs.c.id == firings.c.job_id)
        .where(firings.c.source_id.in_(source_ids), firings.c.live)
        .order_by(firings.c.id)
    ).all()
    return [
        Live(
            firing_id=firing_id,
            source_id=source_id,
            state=FiringState(state),
            job_id=job_id,
            cancelling=job_state == JobState.CANCELLING.value,
            ended=state == FiringState.FIRED.value and (job_state is None or job_state in _ENDED),
        )
        for firing_id, source_id, state, job_id, job_state in rows
    ]


def mark_ended(tx: Tx, ended: Iterable[Live]) -> None:
    """Nobody has to wait for these."""
    ids = [each.firing_id for each in ended if each.ended]
    if ids:
        tx.execute(update(firings).where(firings.c.id.in_(ids)).values(live=False))


def waiting_sources(tx: Tx) -> list[str]:
    """Sources of which a firing waits for its turn."""
    rows = tx.execute(
        select(firings.c.source_id).where(firings.c.state == FiringState.WAITING.value).distinct()
    )
    return [row.source_id for row in rows]


def release(tx: Tx, firing_ids: Collection[str], *, now: datetime) -> int:
    """The turn of these has come."""
    return tx.execute(
        update(firings)
        .where(firings.c.id.in_(firing_ids), firings.c.state == FiringState.WAITING.value)
        .values(state=FiringState.PENDING.value, not_before=now)
    ).rowcount


def skip(tx: Tx, firing_ids: Collection[str], reason: SkipReason, *, now: datetime) -> int:
    """Nothing comes of these, if they wait still."""
    return tx.execute(
        update(firings)
        .where(firings.c.id.in_(firing_ids), firings.c.state == FiringState.WAITING.value)
        .values(
            state=FiringState.SKIPPED.value,
            reason=reason.value,
            document=None,
            live=False,
            not_before=None,
            ended_at=now,
        )
    ).rowcount


def remove(tx: Tx, source_id: str) -> None:
    """Forget all of a source; what is being submitted this moment may still come."""
    tx.execute(delete(firings).where(firings.c.source_id == source_id))


def forget(tx: Tx, *, before: datetime, most: int = 1000) -> int:
    """Drop those that ended before that moment, ``most`` at a time; how many."""
    old = (
        select(firings.c.id)
        .where(firings.c.ended_at < before, firings.c.live.is_(False))
        .limit(most)
    )
    return tx.execute(delete(firings).where(firings.c.id.in_(old))).rowcount


def page(tx: Tx, source_id: str, *, cursor: str | None, limit: int) -> Page[Firing]:
    """Newest first. Raises ``InvalidCursorError``."""
    limit = max(1, min(limit, MOST))
    query = (
        select(firings)
        .where(firings.c.source_id == source_id)
        .order_by(firings.c.id.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        values = decode_cursor(cursor)
        if len(values) != 1 or not isinstance(values[0], str):
            raise InvalidCursorError("the cursor is of another list", hint="start without one")
        query = query.where(firings.c.id < values[0])
    found = [firing_of(row) for row in tx.execute(query)]
    more = len(found) > limit
    items = tuple(found[:limit])
    return Page(items=items, next_cursor=encode_cursor([items[-1].id]) if more else None)


def get(tx: Tx, firing_id: str) -> Firing | None:
    """One firing."""
    row = tx.execute(_SELECT, {"firing": firing_id}).first()
    return None if row is None else firing_of(row)


def by_cause(tx: Tx, source_id: str, causes: Iterable[str]) -> list[Firing]:
    """Those of a source that have one of these causes."""
    wanted = firings.c.cause.in_(list(causes))
    rows = tx.execute(select(firings).where(firings.c.source_id == source_id, wanted))
    return [firing_of(row) for row in rows]


def firing_of(row: Row[Any]) -> Firing:
    """The firing of a whole row."""
    return Firing(
        id=row.id,
        project_id=row.project_id,
        source_id=row.source_id,
        cause=row.cause,
        due_at=row.due_at,
        state=FiringState(row.state),
        user_id=row.user_id,
        created_at=row.created_at,
        document=row.document,
        labels=row.labels,
        reason=None if row.reason is None else SkipReason(row.reason),
        until=row.until,
        exclusive=row.exclusive,
        attempts=row.attempts,
        job_id=row.job_id,
        error=None if row.error is None else from_json(Failure, row.error),
        ended_at=row.ended_at,
    )


def _values(firing: Firing) -> dict[str, Any]:
    is_open = firing.state.value in _OPEN
    return {
        "id": firing.id,
        "project_id": firing.project_id,
        "source_id": firing.source_id,
        "cause": firing.cause,
        "due_at": firing.due_at,
        "state": firing.state.value,
        "reason": None if firing.reason is None else firing.reason.value,
        "until": firing.until,
        "exclusive": firing.exclusive,
        "live": is_open and firing.exclusive,
        "user_id": firing.user_id,
        "labels": dict(firing.labels),
        "document": None if firing.document is None or not is_open else dict(firing.document),
        "attempts": firing.attempts,
        "not_before": firing.created_at if is_open else None,
        "job_id": firing.job_id,
        "error": None if firing.error is None else to_json(firing.error),
        "created_at": firing.created_at,
        "ended_at": None if is_open else (firing.ended_at or firing.created_at),
    }


_ENDED = frozenset(state.value for state in TERMINAL)
_PENDING = (
    select(firings.c.id)
    .where(firings.c.state == FiringState.PENDING.value, firings.c.not_before <= bindparam("now"))
    .limit(1)
)
_SELECT = select(firings).where(firings.c.id == bindparam("firing"))
_INSERT: dict[str, Any] = {
    name: dialect.insert(firings).on_conflict_do_nothing()
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
