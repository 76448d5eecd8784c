"""Tables of money. Amounts are BIGINT nanos; one row of ``charges`` is the whole story of a job."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, String, Table

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

#: A reservation that becomes the bill. ``lines`` are kept so that the bill can be shown for ever.
charges = Table(
    "charges",
    METADATA,
    Column("job_id", String(40), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("month", String(7), nullable=False),  # UTC month of the pricing: 2026-11
    Column("state", String(16), nullable=False),  # reserved, billed, released
    Column("currency", String(3), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("price_class", String(32), nullable=False),
    Column("lines", Json, nullable=False),
    Column("priced_at", UtcDateTime, nullable=False),
    Column("settled_at", UtcDateTime),
    Column("queue", String(64)),  # whose own budget holds it as well
    CheckConstraint("amount >= 0", name="amount"),
    Index("charges_by_project", "project_id", "priced_at"),
)

#: Running sums of ``charges``, so that a reserve is one guarded UPDATE. Jobs without a price are
#: left out: they need no lock.
spending = Table(
    "spending",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("reserved", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    CheckConstraint("reserved >= 0 AND spent >= 0", name="not_negative"),
)

#: Likewise of the queues that have a budget of their own, for as long as they have it.
queue_spending = Table(
    "queue_spending",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("queue", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("reserved", BigInteger, nullable=False),
    Column("spent", BigInteger, nullable=False),
    CheckConstraint("reserved >= 0 AND spent >= 0", name="not_negative"),
)

budgets = Table(
    "budgets",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),  # "every" for months without their own
    Column("currency", String(3), nullable=False),
    Column("cap", BigInteger, nullable=False),
    CheckConstraint("cap >= 0", name="cap"),
)
