"""Backfills: a run a day, so many at a time, for so much money; stopped, resumed, crashed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.lifecycle.states import JobState
from jobs.pipelines.backfill_store import BackfillState
from jobs.pipelines.backfills import BackfillRequest
from jobs.pipelines.errors import BackfillInvalidError, BackfillStateError
from jobs.pipelines.service import BackfillView, Pipelines
from storage.base.ids import UserId
from tests.support.jobs import PROJECT
from tests.support.pipelines import statement, with_pipelines
from tests.support.replicas import ENDLESS, Replica, start_replica

pytestmark = pytest.mark.xdist_group("statements")
USER = UserId("usr_1")
#: What does not depend on the database is tested on one.
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FIRST = date(2026, 1, 29)
DAY = {"day": {"ref": "params.day"}}
#: Appends the day, having read a table that costs something.
APPEND = "INSERT INTO days SELECT CAST(:day AS DATE), count(*) FROM priced"


class Place:
    """A replica with pipelines and two tables."""

    def __init__(self, replica: Replica, pipelines: Pipelines) -> None:
        self.replica = replica
        self.pipelines = pipelines

    def apply(self, nodes: dict[str, Any] | None = None, **fields: Any) -> None:
        nodes = nodes or {"append": statement(APPEND, parameters=DAY)}
        given = {"nodes": nodes, "parameters": {"day": "date"}, **fields}
        self.pipelines.apply(PROJECT, USER, "daily", given)

    def backfill(self, days: int, **how: Any) -> BackfillView:
        last = FIRST + timedelta(days=days - 1)
        asked = BackfillRequest(first=FIRST, last=last, parameters={}, **how)
        return self.pipelines.backfill(PROJECT, USER, "daily", asked)

    def look(self, view: BackfillView) -> BackfillView:
        return self.pipelines.backfill_view(PROJECT, view.backfill.id)

    def await_end(self, view: BackfillView, seconds: float = 60) -> BackfillView:
        until = self.replica.parts.clock.monotonic() + seconds
        while not (now := self.look(view)).backfill.state.ended:
            assert self.replica.parts.clock.monotonic() < until, now
            threading.Event().wait(0.05)
        return now

    def days(self) -> list[str]:
        rows = self.replica.query("SELECT day FROM days ORDER BY day")
        return [row["day"].isoformat() for row in rows]


@contextmanager
def place_at(root: Path, url: str, name: str = "one") -> Iterator[Place]:
    with start_replica(root, url, name=name) as replica, with_pipelines(replica) as pipelines:
        yield Place(replica, pipelines)


@pytest.fixture
def place(tmp_path: Path, database_url: str) -> Iterator[Place]:
    with place_at(tmp_path, database_url) as made:
        made.replica.run("CREATE TABLE priced AS SELECT id FROM range(1000)")
        made.replica.run("CREATE TABLE days (day DATE, n BIGINT)")
        yield made


def test_each_day_runs_once_with_its_date(place: Place) -> None:
    place.apply()
    view = place.await_end(place.backfill(5, parallel=2))
    assert view.backfill.state is BackfillState.FINISHED, view
    assert place.days() == [(FIRST + timedelta(days=i)).isoformat() for i in range(5)]
    assert view.counts == {"succeeded": 5}
    assert view.spent == sum(day.spent for day in view.days)
    assert view.reserved == 0
    runs = place.pipelines.runs(PROJECT, "daily", cursor=None, limit=9).items
    assert {run.job.spec.labels["backfill"] for run in runs} == {view.backfill.id}
    assert {run.job.id for run in runs} == {day.run_id for day in view.days}


def test_the_cap_holds_over_all_runs_and_more_money_goes_on(place: Place) -> None:
    place.apply({"append": statement(READ_AND_APPEND, parameters=DAY)})
    price = place.replica.service.estimate(place.replica.request("SELECT sum(id) FROM priced"))
    assert price.quote is not None
    each = price.quote.amount
    cap = each * 7 // 2
    view = place.await_end(place.backfill(5, parallel=2, max_cost=cap))
    assert view.backfill.state is BackfillState.FAILED
    assert view.counts == {"succeeded": 3, "waiting": 2}
    assert view.spent == 3 * each <= cap
    assert view.backfill.reason is not None
    assert "would cost" in view.backfill.reason
    with pytest.raises(BackfillStateError):
        place.pipelines.cancel_backfill(PROJECT, view.backfill.id)
    more = place.pipelines.resume_backfill(PROJECT, view.backfill.id, max_cost=5 * each)
    view = place.await_end(more)
    assert view.backfill.state is BackfillState.FINISHED
    assert view.spent == 5 * each
    assert len(place.days()) == 5


FREE = {"now": statement("SELECT current_date()")}
LATER = {
    "day": statement("SELECT CAST(:day AS STRING) AS d", parameters=DAY),
    "same": statement("SELECT :d AS d", parameters={"d": {"ref": "nodes.day.result.value"}}),
}


@SQLITE
@pytest.mark.parametrize("nodes", [FREE, LATER], ids=["free", "known later"])
def test_a_cap_of_nothing_admits_what_costs_nothing(place: Place, nodes: dict[str, Any]) -> None:
    place.apply(nodes)
    view = place.await_end(place.backfill(2, max_cost=0))
    assert view.backfill.state is BackfillState.FINISHED, view
    assert (view.counts, view.spent) == ({"succeeded": 2}, 0)


@SQLITE
def test_a_cap_of_nothing_refuses_what_costs_something(place: Place) -> None:
    place.apply({"append": statement(READ_AND_APPEND, parameters=DAY)})
    view = place.await_end(place.backfill(2, max_cost=0))
    assert (view.backfill.state, view.counts) == (BackfillState.FAILED, {"waiting": 2})
    assert "and 0 is left of 0" in str(view.backfill.reason)


READ_AND_APPEND = "INSERT INTO days SELECT CAST(:day AS DATE), sum(id) FROM priced"


@SQLITE
def test_a_day_that_failed_is_resumed_alone(place: Place) -> None:
    fails = "SELECT assert_true(:day <> DATE '2026-01-30')"
    place.apply(
        {
            "append": statement(APPEND, parameters=DAY),
            "check": statement(fails, parameters=DAY, needs=["append"]),
        }
    )
    view = place.await_end(place.backfill(3, parallel=3))
    assert view.backfill.state is BackfillState.FAILED
    assert view.backfill.reason == "1 of 3 days did not succeed"
    assert view.counts == {"succeeded": 2, "failed": 1}
    failed = view.days[1]
    again = place.await_end(
        place.pipelines.resume_backfill(PROJECT, view.backfill.id, max_cost=None)
    )
    day = again.days[1]
    assert (day.attempt, day.resumes) == (2, failed.run_id)
    assert [other.attempt for other in again.days] == [1, 2, 1]
    assert len(place.days()) == 3, "what had succeeded that day was not done again"


@SQLITE
def test_a_cancelled_backfill_stops_its_runs(place: Place) -> None:
    place.apply({"long": statement(ENDLESS)})
    view = place.backfill(4, parallel=2)
    while sum(day.run_id is not None for day in place.look(view).days) < 2:
        threading.Event().wait(0.05)
    place.pipelines.cancel_backfill(PROJECT, view.backfill.id)
    ended = place.await_end(view)
    assert ended.backfill.state is BackfillState.CANCELLED
    assert ended.counts == {"cancelled": 4}
    for day in ended.days[:2]:
        assert day.run_id is not None
        assert place.replica.view(day.run_id).job.state is JobState.CANCELLED


def test_two_replicas_run_each_day_once(tmp_path: Path, database_url: str) -> None:
    with (
        place_at(tmp_path, database_url) as one,
        place_at(tmp_path, database_url, "two") as two,
    ):
        one.replica.run("CREATE TABLE priced AS SELECT id FROM range(1000)")
        one.replica.run("CREATE TABLE days (day DATE, n BIGINT)")
        one.apply()
        view = two.await_end(one.backfill(6, parallel=3))
        assert view.backfill.state is BackfillState.FINISHED, view
        assert len(one.days()) == len(set(one.days())) == 6


@pytest.mark.parametrize(
    "how",
    [
        {"days": 0},
        {"days": 3661},
        {"days": 1, "parallel": 0},
        {"days": 1, "parallel": 101},
        {"days": 1, "parameter": "dya"},
    ],
)
@SQLITE
def test_a_backfill_that_cannot_be_is_refused(place: Place, how: dict[str, Any]) -> None:
    place.apply()
    with pytest.raises(BackfillInvalidError):
        place.backfill(**how)


@SQLITE
def test_a_month_is_backfilled(place: Place) -> None:
    place.apply()
    view = place.await_end(place.backfill(30, parallel=4), seconds=240)
    assert view.counts == {"succeeded": 30}
    assert len(place.days()) == 30
