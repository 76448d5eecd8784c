"""What was used and what it cost, summed by the questions that people ask.

Jobs that ended in the span are counted: their usage over all attempts, and their bill.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    case,
    func,
    select,
    true,
    type_coerce,
    union_all,
)

from dli.billing.bills import ChargeState
from dli.billing.money import Money
from dli.billing.rows import charges
from dli.identity.rows import users
from dli.metering.rows import usage
from jobs.store.rows import job_labels, jobs, past_jobs
from jobs.usage import COMPUTE_CU_MILLIS, SCAN_BYTES
from storage.base.errors import InvalidInputError
from storage.base.ids import ProjectId
from storage.meta.database import Tx

LABEL = "label:"
_HOUR = 3_600_000  # milliseconds
_MOST_GROUPS = 10_000
_TOLD = ("id", "project_id", "user_id", "queue", "engine", "state", "ended_at")


def _ended_in_span(table: Table) -> Select[Any]:
    at = table.c.ended_at
    span = at >= bindparam("start", type_=at.type), at < bindparam("end", type_=at.type)
    return select(*(table.c[name] for name in _TOLD)).where(*span)


#: Jobs that ended in the span, also those of which only this much is kept.
ended = union_all(_ended_in_span(jobs), _ended_in_span(past_jobs)).subquery("ended")


class InvalidGroupingError(InvalidInputError):
    """A report cannot be grouped by this, or would be too long."""

    code = "invalid_grouping"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """The sums of one group; ``group`` has a value for each dimension asked for."""

    group: Mapping[str, str | None]
    statements: int
    bytes_processed: int
    cu_milliseconds: int
    amount: Money


def usage_report(
    tx: Tx,
    *,
    project_id: ProjectId | None,
    start: datetime,
    end: datetime,
    group_by: tuple[str, ...],
    currency: str,
) -> tuple[UsageLine, ...]:
    """The lines of a report, sorted by group; ``project_id`` None means all projects.

    ``start`` is inclusive, ``end`` is not. Without ``group_by`` it is one line, or none. Days,
    months and hours are those of UTC. ``currency`` is told where nothing was billed.
    """
    for name in group_by:
        if name not in DIMENSIONS and not (name.startswith(LABEL) and len(name) > len(LABEL)):
            known = ", ".join([*DIMENSIONS, f"{LABEL}NAME"])
            raise InvalidGroupingError(
                f"usage cannot be grouped by {name!r}", hint=f"possible: {known}"
            )
    counted = true() if project_id is None else ended.c.project_id == project_id
    query, readers = _query(group_by, counted)
    rows = tx.execute(query.limit(_MOST_GROUPS + 1), {"start": start, "end": end}).all()
    if len(rows) > _MOST_GROUPS:
        raise InvalidGroupingError(
            f"the report has more than {_MOST_GROUPS} lines", hint="ask for a shorter span"
        )
    lines: dict[tuple[object, ...], UsageLine] = {}
    for row in rows:
        group = {name: readers[name](value) for name, value in zip(group_by, row, strict=False)}
        line = UsageLine(
            group=group,
            statements=row.statements,
            bytes_processed=int(row.bytes_processed),
            cu_milliseconds=int(row.cu_milliseconds),
            amount=Money(row.currency or currency, int(row.amount)),
        )
        key = (*group.values(), line.amount.currency)
        lines[key] = _sum(lines[key], line) if key in lines else line
    return tuple(
        line for _, line in sorted(lines.items(), key=lambda item: [str(k or "") for k in item[0]])
    )


def _query(
    group_by: tuple[str, ...], counted: ColumnElement[bool]
) -> tuple[Select[Any], dict[str, Callable[[Any], str | None]]]:
    used = (
        select(
            usage.c.job_id,
            _of_meter(SCAN_BYTES).label("bytes"),
            _of_meter(COMPUTE_CU_MILLIS).label("cu_ms"),
        )
        .join(ended, ended.c.id == usage.c.job_id)
        .where(counted)
        .group_by(usage.c.job_id)
        .subquery()
    )
    billed = and_(charges.c.job_id == ended.c.id, charges.c.state == ChargeState.BILLED.value)
    source = (
        ended.outerjoin(used, used.c.job_id == ended.c.id)
        .outerjoin(charges, billed)
        .outerjoin(users, users.c.id == ended.c.user_id)
    )
    keys: list[ColumnElement[Any]] = []
    readers: dict[str, Callable[[Any], str | None]] = {}
    for name in group_by:
        if name.startswith(LABEL):
            label = job_labels.alias()
            source = source.outerjoin(
                label,
                and_(label.c.job_id == ended.c.id, label.c.name == name.removeprefix(LABEL)),
            )
            keys.append(label.c.value)
            readers[name] = _plain
        else:
            column, readers[name] = DIMENSIONS[name]
            keys.append(column)
    # Every key has a name of its own: group_by may say the same column twice in another form.
    named = [key.label(f"key_{number}") for number, key in enumerate(keys)]
    query = (
        select(
            *named,
            charges.c.currency.label("currency"),
            func.count(ended.c.id).label("statements"),
            func.coalesce(func.sum(used.c.bytes), 0).label("bytes_processed"),
            func.coalesce(func.sum(used.c.cu_ms), 0).label("cu_milliseconds"),
            func.coalesce(func.sum(charges.c.amount), 0).label("amount"),
        )
        .select_from(source)
        .where(counted)
        .group_by(*named, charges.c.currency)
    )
    return query, readers


def _of_meter(meter: str) -> ColumnElement[int]:
    return func.sum(case((usage.c.meter == meter, usage.c.quantity), else_=0))


def _sum(one: UsageLine, other: UsageLine) -> UsageLine:
    return replace(
        one,
        statements=one.statements + other.statements,
        bytes_processed=one.bytes_processed + other.bytes_processed,
        cu_milliseconds=one.cu_milliseconds + other.cu_milliseconds,
        amount=one.amount + other.amount,
    )


def _plain(value: str | None) -> str | None:
    return value


def _moment(pattern: str, unit: int) -> Callable[[int], str]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return lambda count: (epoch + timedelta(milliseconds=count * unit)).strftime(pattern)


def _units(milliseconds: int) -> ColumnElement[int]:
    return type_coerce(ended.c.ended_at, BigInteger) // milliseconds


#: What usage can be grouped by, with the column and how its value is told.
DIMENSIONS: Mapping[str, tuple[ColumnElement[Any], Callable[[Any], str | None]]] = {
    "hour": (_units(_HOUR), _moment("%Y-%m-%dT%H:00:00Z", _HOUR)),
    "day": (_units(24 * _HOUR), _moment("%Y-%m-%d", 24 * _HOUR)),
    "month": (_units(24 * _HOUR), _moment("%Y-%m", 24 * _HOUR)),  # days are added up here
    "project": (ended.c.project_id, _plain),
    "queue": (ended.c.queue, _plain),
    "user": (users.c.name, _plain),
    "engine": (ended.c.engine, _plain),
    "state": (ended.c.state, _plain),
}
