"""What a job cost, line by line, as it was reserved and settled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select

from dli.billing.money import Money, Price
from dli.billing.rating import BillLine
from dli.billing.rows import charges
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Tx


class ChargeState(StrEnum):
    """Where the money of a job is."""

    RESERVED = "reserved"  #: the job is under way
    BILLED = "billed"
    RELEASED = "released"  #: the job failed or was cancelled: it costs nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The money of one job. ``amount`` is what is owed: zero unless billed."""

    job_id: JobId
    state: ChargeState
    quoted: Money
    amount: Money
    price_class: str
    priced_at: datetime
    settled_at: datetime | None
    lines: tuple[BillLine, ...]


def find_bill(tx: Tx, project_id: ProjectId, job_id: JobId) -> Bill | None:
    """The bill of a job, None for a job that never had a price (refused, or not of the project)."""
    return find_bills(tx, project_id, (job_id,)).get(job_id)


def find_bills(tx: Tx, project_id: ProjectId, job_ids: Sequence[JobId]) -> dict[JobId, Bill]:
    """The bills of some jobs; jobs without one are left out."""
    rows = tx.execute(
        select(charges).where(charges.c.project_id == project_id, charges.c.job_id.in_(job_ids))
    )
    bills = {}
    for row in rows:
        state = ChargeState(row.state)
        billed = state is ChargeState.BILLED
        bills[JobId(row.job_id)] = Bill(
            job_id=JobId(row.job_id),
            state=state,
            quoted=Money(row.currency, row.amount),
            amount=Money(row.currency, row.amount if billed else 0),
            price_class=row.price_class,
            priced_at=row.priced_at,
            settled_at=row.settled_at,
            lines=_decode_lines(row.lines) if billed else (),
        )
    return bills


def encode_lines(lines: Sequence[BillLine]) -> list[dict[str, object]]:
    """The stored form of lines; integers only."""
    return [
        {
            "meter": line.meter,
            "quantity": line.quantity,
            "charged": line.charged,
            "currency": line.amount.currency,
            "price": line.price.amount.nanos,
            "per": line.price.per,
            "effective_from": line.effective_from.isoformat(),
            "amount": line.amount.nanos,
        }
        for line in lines
    ]


def _decode_lines(rows: Sequence[dict[str, object]]) -> tuple[BillLine, ...]:
    return tuple(
        BillLine(
            meter=str(row["meter"]),
            quantity=_whole(row["quantity"]),
            charged=_whole(row["charged"]),
            price=Price(Money(str(row["currency"]), _whole(row["price"])), _whole(row["per"])),
            effective_from=datetime.fromisoformat(str(row["effective_from"])),
            amount=Money(str(row["currency"]), _whole(row["amount"])),
        )
        for row in rows
    )


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise ValueError(f"{value!r} is not a whole number")
    return value
