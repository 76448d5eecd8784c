"""Backfills and their days in rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Row, func, insert, select, update

from jobs.pipelines.errors import BackfillMissingError, PipelineChangedError
from jobs.pipelines.rows import backfill_days, backfills
from storage.base.ids import JobId, ProjectId, UserId
from storage.meta.database import Tx


class BackfillState(StrEnum):
    """Where a backfill is."""

    RUNNING = "running"
    CANCELLING = "cancelling"  #: its runs are asked to end
    FINISHED = "finished"
    FAILED = "failed"  #: some day did not succeed, or the money was not enough
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing happens by itself any more."""
        return self not in (BackfillState.RUNNING, BackfillState.CANCELLING)


class DayState(StrEnum):
    """Where a day of a backfill is."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """One run of a revision for each day from ``first`` to ``last``, both included."""

    id: str
    project_id: ProjectId
    user_id: UserId
    name: str  #: the pipeline's
    revision: int
    parameter: str  #: that gets the day
    parameters: Mapping[str, Any] = field(default_factory=dict)
    first: date
    last: date
    parallel: int
    max_cost: int | None
    state: BackfillState = BackfillState.RUNNING
    version: int = 1
    reason: str | None = None
    created_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day. ``run_id`` is of the last run; money is in nanos."""

    backfill_id: str
    day: date
    state: DayState = DayState.WAITING
    version: int = 1
    attempt: int = 0
    run_id: JobId | None = None
    resumes: JobId | None = None  #: the run before it, whose successes are taken over
    spent: int = 0
    reserved: int = 0
    reason: str | None = None


def create(tx: Tx, backfill: Backfill, days: list[date]) -> None:
    """Write a new backfill with its days."""
    tx.execute(insert(backfills).values(_values(backfill)))
    tx.execute(
        insert(backfill_days),
        [_day_values(Day(backfill_id=backfill.id, day=day)) for day in days],
    )


def find(tx: Tx, project_id: ProjectId, backfill_id: str) -> Backfill:
    """Raises ``BackfillMissingError``, also for another project's."""
    row = tx.execute(
        select(backfills).where(backfills.c.id == backfill_id, backfills.c.project_id == project_id)
    ).first()
    if row is None:
        raise BackfillMissingError(f"there is no backfill {backfill_id}", backfill=backfill_id)
    return _backfill(row)


def of_pipeline(tx: Tx, project_id: ProjectId, name: str) -> tuple[Backfill, ...]:
    """All of a pipeline, newest first."""
    rows = tx.execute(
        select(backfills)
        .where(backfills.c.project_id == project_id, backfills.c.name == name)
        .order_by(backfills.c.id.desc())
    )
    return tuple(_backfill(row) for row in rows)


def living(tx: Tx, *, limit: int) -> tuple[Backfill, ...]:
    """Those that are not at their end, the oldest first."""
    states = [state.value for state in BackfillState if not state.ended]
    rows = tx.execute(
        select(backfills).where(backfills.c.state.in_(states)).order_by(backfills.c.id).limit(limit)
    )
    return tuple(_backfill(row) for row in rows)


def days_of(tx: Tx, backfill_id: str) -> tuple[Day, ...]:
    """All days in order."""
    rows = tx.execute(
        select(backfill_days)
        .where(backfill_days.c.backfill_id == backfill_id)
        .order_by(backfill_days.c.day)
    )
    return tuple(_day(row) for row in rows)


def counts(tx: Tx, backfill_ids: list[str]) -> dict[str, dict[str, int]]:
    """How many days of each backfill are in each state."""
    rows = tx.execute(
        select(backfill_days.c.backfill_id, backfill_days.c.state, func.count())
        .where(backfill_days.c.backfill_id.in_(backfill_ids))
        .group_by(backfill_days.c.backfill_id, backfill_days.c.state)
    )
    found: dict[str, dict[str, int]] = {backfill_id: {} for backfill_id in backfill_ids}
    for backfill_id, state, count in rows:
        found[backfill_id][state] = count
    return found


def write(tx: Tx, backfill: Backfill) -> Backfill:
    """Write over the version that was read. Raises ``PipelineChangedError``."""
    after = replace(backfill, version=backfill.version + 1)
    here = (backfills.c.id == backfill.id, backfills.c.version == backfill.version)
    done = tx.execute(
        update(backfills).where(*here).values(_values(after)).returning(backfills.c.id)
    )
    if done.first() is None:
        raise PipelineChangedError(f"backfill {backfill.id} was changed meanwhile")
    return after


def write_day(tx: Tx, day: Day) -> Day:
    """Write over the version that was read. Raises ``PipelineChangedError``."""
    after = replace(day, version=day.version + 1)
    here = (
        backfill_days.c.backfill_id == day.backfill_id,
        backfill_days.c.day == day.day.isoformat(),
        backfill_days.c.version == day.version,
    )
    values = _day_values(after)
    done = tx.execute(
        update(backfill_days).where(*here).values(values).returning(backfill_days.c.day)
    )
    if done.first() is None:
        raise PipelineChangedError(f"{day.day} of {day.backfill_id} was changed meanwhile")
    return after


def _values(backfill: Backfill) -> dict[str, Any]:
    return {
        "id": backfill.id,
        "project_id": backfill.project_id,
        "name": backfill.name,
        "revision": backfill.revision,
        "user_id": backfill.user_id,
        "parameter": backfill.parameter,
        "parameters": dict(backfill.parameters),
        "first": backfill.first.isoformat(),
        "last": backfill.last.isoformat(),
        "parallel": backfill.parallel,
        "max_cost": backfill.max_cost,
        "state": backfill.state.value,
        "version": backfill.version,
        "reason": backfill.reason,
        "created_at": backfill.created_at,
        "ended_at": backfill.ended_at,
    }


def _backfill(row: Row[Any]) -> Backfill:
    values = dict(row._mapping)
    return Backfill(
        **values
        | {
            "first": date.fromisoformat(row.first),
            "last": date.fromisoformat(row.last),
            "state": BackfillState(row.state),
        }
    )


def _day_values(day: Day) -> dict[str, Any]:
    return {
        "backfill_id": day.backfill_id,
        "day": day.day.isoformat(),
        "state": day.state.value,
        "version": day.version,
        "attempt": day.attempt,
        "run_id": day.run_id,
        "resumes": day.resumes,
        "spent": day.spent,
        "reserved": day.reserved,
        "reason": day.reason,
    }


def _day(row: Row[Any]) -> Day:
    values = dict(row._mapping)
    return Day(**values | {"day": date.fromisoformat(row.day), "state": DayState(row.state)})
