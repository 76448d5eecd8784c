"""A reservation becomes the bill or is given back, and a budget is never overshot."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dli.billing import budgets
from dli.billing.allowance import PricedAllowance, QuoteChangedError
from dli.billing.bills import ChargeState, find_bill
from dli.billing.budgets import Budget, Spending
from dli.billing.money import Money
from dli.billing.pricebook import read_price_book
from jobs.usage import (
    SCAN_BYTES,
    BudgetExceededError,
    CapExceededError,
    QueueBudget,
    Quote,
)
from storage.base.clock import ManualClock
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database

PROJECT = ProjectId("default")
MONTH = "2026-01"
AT = datetime(2026, 1, 1, tzinfo=UTC)
DOLLAR = 10**9


def allowance() -> PricedAllowance:
    return PricedAllowance(read_price_book(), ManualClock(AT))


def quote(dollars: int = 5) -> Quote:
    """A quote of so many dollars, at five dollars a tebibyte."""
    return allowance().quote(
        price_class="standard", quantities={SCAN_BYTES: dollars * 2**40 // 5}, at=AT
    )


def reserve(database: Database, job: str, quoted: Quote, cap: int | None = None) -> None:
    with database.transaction() as tx:
        allowance().reserve(tx, job_id=JobId(job), project_id=PROJECT, quote=quoted, cap=cap)


def settle(database: Database, job: str, quoted: Quote, *, billable: bool) -> None:
    with database.transaction() as tx:
        allowance().settle(
            tx, job_id=JobId(job), project_id=PROJECT, quote=quoted, billable=billable
        )


def set_cap(database: Database, dollars: int, month: str = budgets.EVERY_MONTH) -> None:
    with database.transaction() as tx:
        budgets.set_budget(tx, PROJECT, Budget(month=month, cap=Money("USD", dollars * DOLLAR)))


def spending(database: Database) -> Spending:
    with database.read() as tx:
        return budgets.month_spending(tx, PROJECT, MONTH, "USD")


def test_the_bill_is_the_quote(database: Database) -> None:
    quoted = quote(5)
    reserve(database, "stm_1", quoted)
    settle(database, "stm_1", quoted, billable=True)
    with database.read() as tx:
        bill = find_bill(tx, PROJECT, JobId("stm_1"))
    assert bill is not None
    assert bill.state is ChargeState.BILLED
    assert bill.amount.nanos == quoted.amount == sum(line.amount.nanos for line in bill.lines)
    assert bill.lines[0].quantity == quoted.quantities[SCAN_BYTES]


def test_a_released_job_owes_nothing(database: Database) -> None:
    quoted = quote(5)
    reserve(database, "stm_1", quoted)
    settle(database, "stm_1", quoted, billable=False)
    with database.read() as tx:
        bill = find_bill(tx, PROJECT, JobId("stm_1"))
    assert bill is not None
    assert (bill.state, bill.amount.nanos, bill.lines) == (ChargeState.RELEASED, 0, ())
    assert spending(database).reserved.nanos == spending(database).spent.nanos == 0


def test_another_project_does_not_see_the_bill(database: Database) -> None:
    reserve(database, "stm_1", quote())
    with database.read() as tx:
        assert find_bill(tx, ProjectId("other"), JobId("stm_1")) is None


def test_money_moves_from_reserved_to_spent(database: Database) -> None:
    quoted = quote(5)
    reserve(database, "stm_1", quoted)
    assert spending(database).reserved.nanos == quoted.amount
    settle(database, "stm_1", quoted, billable=True)
    assert spending(database).reserved.nanos == 0
    assert spending(database).spent.nanos == quoted.amount


def test_reserving_and_settling_twice_counts_once(database: Database) -> None:
    quoted = quote(5)
    for _ in range(2):
        reserve(database, "stm_1", quoted)
    assert spending(database).reserved.nanos == quoted.amount
    for _ in range(2):
        settle(database, "stm_1", quoted, billable=True)
    assert spending(database).spent.nanos == quoted.amount


def test_a_cap_below_the_price_refuses_and_keeps_nothing(database: Database) -> None:
    with pytest.raises(CapExceededError) as caught:
        reserve(database, "stm_1", quote(5), cap=5 * DOLLAR - 1)
    assert caught.value.details["price"] == "5.000000000"
    assert spending(database).reserved.nanos == 0


def test_a_cap_of_exactly_the_price_passes(database: Database) -> None:
    reserve(database, "stm_1", quote(5), cap=5 * DOLLAR)
    assert spending(database).reserved.nanos == 5 * DOLLAR


def test_a_full_budget_refuses_and_says_what_is_left(database: Database) -> None:
    set_cap(database, 7)
    reserve(database, "stm_1", quote(5))
    with pytest.raises(BudgetExceededError) as caught:
        reserve(database, "stm_2", quote(5))
    assert caught.value.details["left"] == "2.000000000"
    settle(database, "stm_1", quote(5), billable=False)
    reserve(database, "stm_2", quote(5))


def test_a_months_own_budget_goes_before_that_of_every_month(database: Database) -> None:
    set_cap(database, 1)
    set_cap(database, 5, month=MONTH)
    reserve(database, "stm_1", quote(5))
    with database.transaction() as tx:
        budgets.drop_budget(tx, PROJECT, MONTH)
    with pytest.raises(BudgetExceededError):
        reserve(database, "stm_2", quote(5))


def test_free_statements_pass_an_empty_budget(database: Database) -> None:
    set_cap(database, 0)
    reserve(database, "stm_1", quote(0))


def test_many_at_once_never_overshoot_the_budget(database: Database) -> None:
    set_cap(database, 50)
    outcomes: list[bool] = []
    start = threading.Barrier(8)

    def submit(worker: int) -> None:
        start.wait()
        for number in range(4):
            job, quoted = f"stm_{worker}_{number}", quote(5)
            try:
                reserve(database, job, quoted)
            except BudgetExceededError:
                outcomes.append(False)
                continue
            settle(database, job, quoted, billable=True)
            outcomes.append(True)

    threads = [threading.Thread(target=submit, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (outcomes.count(True), outcomes.count(False)) == (10, 22)
    assert spending(database).spent.nanos == 50 * DOLLAR
    assert spending(database).reserved.nanos == 0


def test_a_price_edited_in_the_past_is_noticed(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(
        'currency = "USD"\n[[price]]\nmeter = "scan.bytes"\nclass = "standard"\n'
        'effective_from = 2026-01-01T00:00:00Z\namount = "6"\nper = 1099511627776\n'
    )
    edited = PricedAllowance(read_price_book(path), ManualClock(AT))
    with pytest.raises(QuoteChangedError), database.transaction() as tx:
        edited.reserve(tx, job_id=JobId("stm_1"), project_id=PROJECT, quote=quote(5), cap=None)


def test_a_queues_own_budget_is_never_overshot(database: Database) -> None:
    night = QueueBudget(queue="night", monthly=8 * DOLLAR)
    quoted = quote(5)

    def hold(job: str, queue: QueueBudget | None) -> None:
        with database.transaction() as tx:
            allowance().reserve(
                tx, job_id=JobId(job), project_id=PROJECT, quote=quoted, cap=None, queue=queue
            )

    hold("stm_1", night)
    with pytest.raises(BudgetExceededError, match="queue night"):
        hold("stm_2", night)
    hold("stm_2", None)
    settle(database, "stm_1", quoted, billable=False)
    hold("stm_3", night)
    settle(database, "stm_3", quoted, billable=True)
    with pytest.raises(BudgetExceededError) as caught:
        hold("stm_4", night)
    assert caught.value.details["left"] == "3.000000000"
    assert spending(database).spent.nanos == 5 * DOLLAR
    assert spending(database).reserved.nanos == 5 * DOLLAR
