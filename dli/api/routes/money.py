"""``/prices``, ``/budget`` and ``/usage``: what things cost, may cost, and did cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from dli.api.deps import AllServices, Caller
from dli.api.envelope import moment, money_json
from dli.api.results import aware
from dli.api.schemas.platform import BudgetBody, BudgetReply, PricesReply, UsageReport
from dli.api.wire import InvalidRequestError, json_response, page_json
from dli.billing import budgets
from dli.billing.budgets import Budget, Spending
from dli.billing.money import Money
from dli.billing.pricebook import PriceEntry
from dli.billing.reports import UsageLine, usage_report
from dli.identity.principals import Role

router = APIRouter(tags=["money"])


@router.get("/prices", response_model=PricesReply)
def list_prices(
    services: AllServices,
    caller: Caller,
    at: Annotated[datetime | None, Query(description="In force then; now if not given.")] = None,
) -> Response:
    """All prices, past and to come; `in_force` marks those of the moment."""
    when, book = aware(at) or services.clock.now(), services.book
    items = [
        _price_json(entry, in_force=_in_force(entry, book.entries, when)) for entry in book.entries
    ]
    return json_response({"currency": book.currency, **page_json(items)})


@router.get("/budget", response_model=BudgetReply)
def get_budget(
    services: AllServices,
    caller: Caller,
    month: Annotated[str | None, Query(description="`2026-11`; this one if not given.")] = None,
) -> Response:
    """A month's cap, what is spent of it, and what is set aside for statements under way."""
    return _budget(services, caller, month)


@router.put("/budget", response_model=BudgetReply)
def set_budget(services: AllServices, caller: Caller, body: BudgetBody) -> Response:
    """Set or lift a cap; it stops what comes, not what runs. Needs the role admin."""
    caller.require(Role.ADMIN)
    month = budgets.check_month(body.month)
    with services.database.transaction() as tx:
        if body.amount is not None:
            cap = Money(services.book.currency, body.amount)
            budgets.set_budget(tx, caller.project_id, Budget(month=month, cap=cap))
        elif any(one.month == month for one in budgets.list_budgets(tx, caller.project_id)):
            budgets.drop_budget(tx, caller.project_id, month)
    services.jobs.queues.budget_changed(caller.project_id)
    return _budget(services, caller, None if month == budgets.EVERY_MONTH else month)


@router.get("/usage", response_model=UsageReport)
def report_usage(
    services: AllServices,
    caller: Caller,
    start: Annotated[
        datetime | None, Query(alias="from", description="Else the start of this UTC month.")
    ] = None,
    end: Annotated[datetime | None, Query(alias="to", description="Without it. Else now.")] = None,
    group_by: Annotated[
        list[str] | None,
        Query(
            description="hour, day, month, queue, user, engine, state, project, `label:NAME`; "
            "several by commas or repeated."
        ),
    ] = None,
    all_projects: Annotated[bool, Query(description="For administrators.")] = False,
) -> Response:
    """Statements that ended in the span: how many, what they processed, what they cost."""
    if all_projects:
        caller.require_administrator()
    now = services.clock.now()
    first = aware(start) or now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = aware(end) or now + timedelta(milliseconds=1)
    if last < first:
        raise InvalidRequestError("to: is before from")
    groups = tuple(name.strip() for text in group_by or () for name in text.split(",") if name)
    with services.database.read() as tx:
        lines = usage_report(
            tx,
            project_id=None if all_projects else caller.project_id,
            start=first,
            end=last,
            group_by=groups,
            currency=services.book.currency,
        )
    return json_response(_report_json(lines, groups, first, last, services.book.currency))


def _budget(services: AllServices, caller: Caller, month: str | None) -> Response:
    asked = budgets.month_of(services.clock.now()) if month is None else month
    if budgets.check_month(asked) == budgets.EVERY_MONTH:
        raise InvalidRequestError("month: name one, such as 2026-11")
    with services.database.read() as tx:
        now = budgets.month_spending(tx, caller.project_id, asked, services.book.currency)
        caps = budgets.list_budgets(tx, caller.project_id)
    return json_response(_budget_json(now, caps))


def _budget_json(now: Spending, caps: tuple[Budget, ...]) -> dict[str, Any]:
    left = None
    if now.cap is not None:
        free = max(now.cap.nanos - now.spent.nanos - now.reserved.nanos, 0)
        left = Money(now.cap.currency, free).amount
    return {
        "month": now.month,
        "cap": None if now.cap is None else now.cap.amount,
        "spent": now.spent.amount,
        "reserved": now.reserved.amount,
        "left": left,
        "currency": now.spent.currency,
        "caps": [{"month": one.month, **money_json(one.cap)} for one in caps],
    }


def _price_json(entry: PriceEntry, *, in_force: bool) -> dict[str, Any]:
    return {
        "meter": entry.meter,
        "class": entry.price_class,
        "price": entry.price.amount.amount,
        "currency": entry.price.amount.currency,
        "per": entry.price.per,
        "unit": "B",
        "minimum": entry.minimum,
        "effective_from": moment(entry.effective_from),
        "in_force": in_force,
    }


def _in_force(entry: PriceEntry, entries: tuple[PriceEntry, ...], at: datetime) -> bool:
    """Whether no later entry of the same meter and class has begun."""
    started = [
        other.effective_from
        for other in entries
        if (other.meter, other.price_class) == (entry.meter, entry.price_class)
        and other.effective_from <= at
    ]
    return bool(started) and max(started) == entry.effective_from


def _report_json(
    lines: tuple[UsageLine, ...],
    groups: tuple[str, ...],
    first: datetime,
    last: datetime,
    currency: str,
) -> dict[str, Any]:
    total = sum((line.amount.nanos for line in lines if line.amount.currency == currency), 0)
    items = [
        {
            **line.group,
            "statements": line.statements,
            "bytes_processed": line.bytes_processed,
            "cu_milliseconds": line.cu_milliseconds,
            **money_json(line.amount),
        }
        for line in lines
    ]
    return {
        "from": moment(first),
        "to": moment(last),
        "group_by": list(groups),
        **page_json(items),
        "total": money_json(Money(currency, total)),
    }
