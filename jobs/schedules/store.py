"""Schedules in rows: changed by compare-and-set, advanced as their due times are decided."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from jobs.schedules.errors import (
    ScheduleChangedError,
    ScheduleExistsError,
    ScheduleMissingError,
)
from jobs.schedules.rows import schedules
from jobs.schedules.spec import Missed, Overlap, Schedule
from jobs.schedules.times import Rule
from jobs.store.codec import from_json, to_json
from storage.base.ids import ProjectId
from storage.meta.database import Tx

_MILLISECOND = timedelta(milliseconds=1)


def create(tx: Tx, schedule: Schedule) -> None:
    """Raises ``ScheduleExistsError``."""
    taken = ScheduleExistsError(
        f"there is a schedule {schedule.name!r} already", schedule=schedule.name
    )
    if _find(tx, schedule.project_id, schedule.name) is not None:
        raise taken
    try:
        tx.execute(insert(schedules).values(id=schedule.id, **_values(schedule)))
    except IntegrityError as error:  # another replica was first
        raise taken from error


def get(tx: Tx, project_id: ProjectId, name: str, *, locked: bool = False) -> Schedule:
    """Raises ``ScheduleMissingError`` with near names. ``locked``: until the transaction ends."""
    found = _find(tx, project_id, name, locked=locked)
    if found is None:
        names = [schedule.name for schedule in every(tx, project_id)]
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`dli schedule list` has them"
        raise ScheduleMissingError(f"there is no schedule {name!r}", hint=hint, schedule=name)
    return found


def every(tx: Tx, project_id: ProjectId) -> tuple[Schedule, ...]:
    """Those of the project, by name."""
    rows = tx.execute(
        select(schedules).where(schedules.c.project_id == project_id).order_by(schedules.c.name)
    )
    return tuple(schedule_of(row) for row in rows)


def change(tx: Tx, schedule: Schedule, *, seen: int) -> None:
    """Write ``schedule`` over version ``seen``; raises ``ScheduleChangedError`` if it is past."""
    written = tx.execute(
        update(schedules)
        .where(schedules.c.id == schedule.id, schedules.c.version == seen)
        .values(_values(schedule))
        .returning(schedules.c.id)
    ).first()
    if written is None:
        raise ScheduleChangedError(
            f"schedule {schedule.name} was changed meanwhile",
            hint="read it again",
            schedule=schedule.name,
        )


def remove(tx: Tx, schedule_id: str) -> None:
    """Its firings are left to the caller."""
    tx.execute(delete(schedules).where(schedules.c.id == schedule_id))


def next_at(tx: Tx) -> datetime | None:
    """When the first of all schedules is to be looked at."""
    moment: datetime | None = tx.execute(_NEXT).scalar()
    return moment


def due(tx: Tx, *, now: datetime, most: int) -> list[Schedule]:
    """Those that are due, the most urgent first; on PostgreSQL locked, and none that another
    replica has locked just now."""
    rows = tx.execute(
        select(schedules)
        .where(schedules.c.next_at <= now)
        .order_by(schedules.c.next_at, schedules.c.id)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    return [schedule_of(row) for row in rows]


def by_id(tx: Tx, schedule_ids: Sequence[str]) -> list[Schedule]:
    """Those of these that exist still, locked on PostgreSQL."""
    rows = tx.execute(
        select(schedules)
        .where(schedules.c.id.in_(schedule_ids))
        .order_by(schedules.c.id)
        .with_for_update()
    )
    return [schedule_of(row) for row in rows]


def read_by_id(tx: Tx, schedule_ids: Sequence[str]) -> list[Schedule]:
    """As ``by_id``, without locks."""
    rows = tx.execute(select(schedules).where(schedules.c.id.in_(schedule_ids)))
    return [schedule_of(row) for row in rows]


def advance(tx: Tx, advanced: Sequence[Schedule]) -> None:
    """Keep what is due next. No change of the schedule: its version stays."""
    if advanced:
        tx.execute(
            _ADVANCE,
            [
                {"schedule": each.id, "new_due": each.next_due, "new_at": each.next_at}
                for each in advanced
            ],
        )


def schedule_of(row: Row[Any]) -> Schedule:
    """The schedule of a whole row."""
    kind: Any = Rule
    return Schedule(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        rule=from_json(kind, row.rule),
        document=row.document,
        user_id=row.user_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        missed=Missed(row.missed),
        missed_most=row.missed_most,
        overlap=Overlap(row.overlap),
        jitter=row.jitter_ms * _MILLISECOND,
        start_at=row.start_at,
        end_at=row.end_at,
        paused=row.paused,
        version=row.version,
        next_due=row.next_due,
    )


def _find(tx: Tx, project_id: ProjectId, name: str, *, locked: bool = False) -> Schedule | None:
    query = select(schedules).where(schedules.c.project_id == project_id, schedules.c.name == name)
    row = tx.execute(query.with_for_update() if locked else query).first()
    return None if row is None else schedule_of(row)


def _values(schedule: Schedule) -> dict[str, Any]:
    return {
        "project_id": schedule.project_id,
        "name": schedule.name,
        "rule": to_json(schedule.rule),
        "document": dict(schedule.document),
        "user_id": schedule.user_id,
        "missed": schedule.missed.value,
        "missed_most": schedule.missed_most,
        "overlap": schedule.overlap.value,
        "jitter_ms": schedule.jitter // _MILLISECOND,
        "start_at": schedule.start_at,
        "end_at": schedule.end_at,
        "paused": schedule.paused,
        "version": schedule.version,
        "next_due": schedule.next_due,
        "next_at": schedule.next_at,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    }


_NEXT = select(func.min(schedules.c.next_at)).where(schedules.c.next_at.is_not(None))
_ADVANCE = (
    update(schedules)
    .where(schedules.c.id == bindparam("schedule"))
    .values(next_due=bindparam("new_due"), next_at=bindparam("new_at"))
)
