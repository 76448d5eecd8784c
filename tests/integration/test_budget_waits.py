"""Statements that wait for money, on both databases: kept, told why, started when there is some."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import func, select

from dli.billing import budgets
from dli.billing.budgets import Budget, month_of, month_spending
from dli.billing.money import Money
from dli.billing.rows import charges
from jobs.lifecycle.spec import OnBudget
from jobs.lifecycle.states import JobState
from jobs.queues.definitions import QueueFullError
from jobs.usage import BudgetExceededError
from storage.base.ids import JobId
from tests.support.jobs import PROJECT, make_queue
from tests.support.replicas import ENDLESS, Replica, start_replica

pytestmark = pytest.mark.xdist_group("statements")
ALL = "SELECT sum(n) AS n FROM numbers"
WAIT = {"on_budget": OnBudget.WAIT}


@pytest.fixture
def replica(tmp_path: Path, database_url: str) -> Iterator[Replica]:
    """One with a table of which each read costs something, and a budget of nothing."""
    with start_replica(tmp_path, database_url) as running:
        (running.files / "numbers").mkdir(parents=True)
        pq.write_table(pa.table({"n": range(1000)}), running.files / "numbers" / "1.parquet")
        running.run(f"CREATE TABLE numbers USING PARQUET LOCATION '{running.files}/numbers'")
        _budget(running, 0)
        yield running


def _budget(replica: Replica, nanos: int) -> None:
    cap = Budget(month=budgets.EVERY_MONTH, cap=Money("USD", nanos))
    with replica.parts.database.transaction() as tx:
        budgets.set_budget(tx, PROJECT, cap)
    replica.service.queues.budget_changed(PROJECT)


def _price(replica: Replica) -> int:
    quote = replica.service.estimate(replica.request(ALL)).quote
    assert quote is not None
    assert quote.amount > 0
    return quote.amount


def _reserved(replica: Replica) -> int:
    month = month_of(replica.parts.clock.now())
    with replica.parts.database.read() as tx:
        return month_spending(tx, PROJECT, month, "USD").reserved.nanos


def _charges(replica: Replica, job_id: JobId) -> int:
    mine = select(func.count()).select_from(charges).where(charges.c.job_id == job_id)
    with replica.parts.database.read() as tx:
        return tx.execute(mine).scalar_one()


def test_without_the_wish_to_wait_it_is_refused(replica: Replica) -> None:
    with pytest.raises(BudgetExceededError):
        replica.submit(ALL)


def test_it_waits_for_money_and_starts_when_there_is_some(replica: Replica) -> None:
    job_id = replica.submit(ALL, **WAIT)
    view = replica.view(job_id)
    assert (view.job.state, view.job.attempt) == (JobState.QUEUED, 0)
    assert view.wait is not None
    assert (view.wait.reason, view.wait.position, view.wait.options) == ("budget", 1, ())
    assert f"it costs 0.{_price(replica):09d}".rstrip("0") in view.wait.detail
    assert view.history[0].detail["waits_for"] == "budget"
    assert _charges(replica, job_id) == 0, "nothing is set aside for it"
    _budget(replica, _price(replica))
    ended = replica.await_end(job_id, seconds=20)
    assert replica.rows(ended) == [{"n": 499_500}]
    with replica.parts.database.read() as tx:
        spent = month_spending(tx, PROJECT, month_of(ended.job.created_at), "USD")
    assert (spent.spent.nanos, spent.reserved.nanos) == (_price(replica), 0)


def test_one_that_waits_for_money_holds_up_nobody(replica: Replica) -> None:
    waits = replica.submit(ALL, **WAIT)
    assert replica.query("SELECT 1 AS one", **WAIT) == [{"one": 1}]
    assert replica.view(waits).job.state is JobState.QUEUED


def test_only_as_many_start_as_there_is_money_for(replica: Replica) -> None:
    waiting = [replica.submit(ALL, **WAIT) for _ in range(3)]
    _budget(replica, 2 * _price(replica))
    until = replica.parts.clock.monotonic() + 20
    while replica.parts.clock.monotonic() < until:
        states = [replica.view(job_id).job.state for job_id in waiting]
        if states.count(JobState.FINISHED) == 2:
            break
        replica.stop.wait(0.1)
    assert sorted(states) == [JobState.FINISHED, JobState.FINISHED, JobState.QUEUED]


def test_it_can_be_cancelled_and_gives_nothing_back(replica: Replica) -> None:
    job_id = replica.submit(ALL, **WAIT)
    assert replica.service.cancel(PROJECT, job_id).job.state is JobState.CANCELLED
    assert _reserved(replica) == 0


def test_what_is_cancelled_in_its_line_gives_its_money_back(replica: Replica) -> None:
    price = _price(replica)
    _budget(replica, 2 * price)
    replica.service.queues.create(make_queue(name="narrow", max_running=1))
    first = replica.submit(ENDLESS, queue="narrow")
    replica.await_state(first, JobState.RUNNING)
    second = replica.submit(ALL, queue="narrow")
    assert _reserved(replica) == price
    assert replica.service.cancel(PROJECT, second).job.state is JobState.CANCELLED
    assert _reserved(replica) == 0
    replica.service.cancel(PROJECT, first)
    replica.await_end(first, seconds=20)


def test_a_queue_is_bounded_by_those_that_wait_for_money_too(replica: Replica) -> None:
    replica.service.queues.create(make_queue(name="short", max_waiting=1))
    replica.submit(ALL, queue="short", **WAIT)
    with pytest.raises(QueueFullError):
        replica.submit(ALL, queue="short", **WAIT)


def test_a_queues_own_budget_is_waited_for(replica: Replica) -> None:
    _budget(replica, 10**12)
    made = replica.service.queues.create(make_queue(name="poor", monthly_budget=0))
    job_id = replica.submit(ALL, queue="poor", **WAIT)
    wait = replica.view(job_id).wait
    assert wait is not None
    assert wait.reason == "budget"
    with replica.parts.database.read() as tx:
        month = month_of(replica.parts.clock.now())
        assert month_spending(tx, PROJECT, month, "USD").reserved.nanos == 0, "of neither budget"
    changed = make_queue(name="poor", monthly_budget=10**12, version=made.version)
    replica.service.queues.update(changed)
    assert replica.await_end(job_id, seconds=20).job.state is JobState.FINISHED
