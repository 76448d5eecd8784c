"""Caps of money per project and UTC month, and how much of them is gone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from dli.billing.money import Money
from dli.billing.rows import budgets, queue_spending, spending
from jobs.usage import BudgetExceededError, QueueBudget
from storage.base.errors import InvalidInputError, NotFoundError
from storage.base.ids import ProjectId
from storage.meta.database import Tx
from storage.meta.inserts import insert_into

#: The name of the cap for all months that have none of their own.
EVERY_MONTH = "every"
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


#: Built once: one of them runs for every statement that costs something.
_OPEN: dict[tuple[str, str], Any] = {
    (name, sums.name): dialect.insert(sums).on_conflict_do_nothing()
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
    for sums in (spending, queue_spending)
}


class InvalidMonthError(InvalidInputError):
    """A month that cannot be read."""

    code = "invalid_month"


class BudgetMissingError(NotFoundError):
    """The project has no cap under this name."""

    code = "budget_not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A cap as it was set; ``month`` is ``2026-11`` or ``every``."""

    month: str
    cap: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a project's month has cost, and what statements under way may still cost."""

    month: str
    spent: Money
    reserved: Money
    cap: Money | None


def month_of(at: datetime) -> str:
    """The UTC month of a moment: ``2026-11``."""
    return at.astimezone(UTC).strftime("%Y-%m")


def check_month(text: str) -> str:
    """``text`` if it is a month or ``every``; raises ``InvalidMonthError``."""
    if text != EVERY_MONTH and _MONTH.fullmatch(text) is None:
        raise InvalidMonthError(
            f"{text!r} is not a month", hint="write it like 2026-11, or 'every' for all months"
        )
    return text


def set_budget(tx: Tx, project_id: ProjectId, budget: Budget) -> None:
    """Set or replace a cap. Below what is spent it only stops what comes."""
    values = {"currency": budget.cap.currency, "cap": budget.cap.nanos}
    tx.execute(
        insert_into(tx, budgets)
        .values(project_id=project_id, month=check_month(budget.month), **values)
        .on_conflict_do_update(index_elements=[budgets.c.project_id, budgets.c.month], set_=values)
    )


def drop_budget(tx: Tx, project_id: ProjectId, month: str) -> None:
    """Lift a cap. Raises ``BudgetMissingError``."""
    gone = tx.execute(
        delete(budgets)
        .where(budgets.c.project_id == project_id, budgets.c.month == check_month(month))
        .returning(budgets.c.month)
    ).first()
    if gone is None:
        raise BudgetMissingError(f"there is no budget for {month}", month=month)


def list_budgets(tx: Tx, project_id: ProjectId) -> tuple[Budget, ...]:
    """The project's caps by month; ``every`` comes last."""
    rows = tx.execute(
        select(budgets).where(budgets.c.project_id == project_id).order_by(budgets.c.month)
    )
    return tuple(Budget(month=row.month, cap=Money(row.currency, row.cap)) for row in rows)


def cap_of(tx: Tx, project_id: ProjectId, month: str) -> int | None:
    """The cap in nanos that holds for a month: its own, else that of every month."""
    rows = tx.execute(
        select(budgets.c.month, budgets.c.cap).where(
            budgets.c.project_id == project_id, budgets.c.month.in_([month, EVERY_MONTH])
        )
    )
    caps: dict[str, int] = {row.month: row.cap for row in rows}
    return caps.get(month, caps.get(EVERY_MONTH))


def month_spending(tx: Tx, project_id: ProjectId, month: str, currency: str) -> Spending:
    """What a month has cost so far."""
    row = tx.execute(
        select(spending.c.spent, spending.c.reserved).where(
            spending.c.project_id == project_id, spending.c.month == month
        )
    ).first()
    cap = cap_of(tx, project_id, month)
    return Spending(
        month=month,
        spent=Money(currency, row.spent if row else 0),
        reserved=Money(currency, row.reserved if row else 0),
        cap=None if cap is None else Money(currency, cap),
    )


def hold(tx: Tx, project_id: ProjectId, month: str, amount: Money) -> None:
    """Set ``amount`` aside in the month, or raise ``BudgetExceededError`` and change nothing.

    The sums are compared and raised by one UPDATE, whose row lock lasts until the transaction
    ends: two statements that fit one by one but not together cannot both pass.
    """
    key = {"project_id": project_id, "month": month}
    cap = cap_of(tx, project_id, month)
    _hold(tx, spending, key, amount, cap=cap, whose="the project")


def hold_of_queue(
    tx: Tx, project_id: ProjectId, queue: QueueBudget, month: str, amount: Money
) -> None:
    """As ``hold``, in the budget of a queue; it counts what came while the queue had one."""
    key = {"project_id": project_id, "queue": queue.queue, "month": month}
    whose = f"queue {queue.queue}"
    _hold(tx, queue_spending, key, amount, cap=queue.monthly, whose=whose)


def _hold(
    tx: Tx, sums: Table, key: Mapping[str, str], amount: Money, *, cap: int | None, whose: str
) -> None:
    tx.execute(_OPEN[tx.dialect.name, sums.name], {**key, "reserved": 0, "spent": 0})
    here = [sums.c[name] == value for name, value in key.items()]
    fits = [] if cap is None else [sums.c.reserved + sums.c.spent + amount.nanos <= cap]
    held = tx.execute(
        update(sums)
        .where(*here, *fits)
        .values(reserved=sums.c.reserved + amount.nanos)
        .returning(sums.c.reserved)
    ).first()
    if held is None:
        now = tx.execute(select(sums.c.reserved, sums.c.spent).where(*here)).one()
        left = Money(amount.currency, max((cap or 0) - now.spent - now.reserved, 0))
        raise BudgetExceededError(
            f"the statement costs {amount.amount} {amount.currency}, the budget of {whose} for "
            f"{key['month']} has {left.amount} left",
            hint="an admin of the project can raise the budget, or wait for the next month",
            price=amount.amount,
            left=left.amount,
            currency=amount.currency,
            month=key["month"],
        )


def release_of_queue(
    tx: Tx, project_id: ProjectId, queue: str, month: str, amount: Money, *, spent: bool
) -> None:
    """End what ``hold_of_queue`` set aside."""
    tx.execute(
        update(queue_spending)
        .where(
            queue_spending.c.project_id == project_id,
            queue_spending.c.queue == queue,
            queue_spending.c.month == month,
        )
        .values(
            reserved=queue_spending.c.reserved - amount.nanos,
            spent=queue_spending.c.spent + (amount.nanos if spent else 0),
        )
    )


def release(tx: Tx, project_id: ProjectId, month: str, amount: Money, *, spent: bool) -> None:
    """End what ``hold`` set aside: it is spent, or free again."""
    tx.execute(
        update(spending)
        .where(spending.c.project_id == project_id, spending.c.month == month)
        .values(
            reserved=spending.c.reserved - amount.nanos,
            spent=spending.c.spent + (amount.nanos if spent else 0),
        )
    )
