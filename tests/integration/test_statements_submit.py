"""What is refused, what is kept of it, and what a key is good for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.lifecycle.states import JobState
from jobs.service import (
    EngineUnknownError,
    IdempotencyConflictError,
    JobFilter,
    QueueFullError,
    QueueMissingError,
    RequestInvalidError,
    WriteForbiddenError,
)
from jobs.usage import CapExceededError
from sql.errors import SqlSyntaxError, TableNotFoundError
from storage.base.errors import ServiceError
from tests.support.jobs import PROJECT, make_queue
from tests.support.replicas import ENDLESS, Replica, start_replica

pytestmark = pytest.mark.xdist_group("statements")


@pytest.fixture
def replica(tmp_path: Path, database_url: str) -> Iterator[Replica]:
    with start_replica(tmp_path, database_url) as made:
        yield made


def _kept(replica: Replica) -> int:
    page = replica.service.list(PROJECT, JobFilter(), cursor=None, limit=100)
    return len(page.items)


@pytest.mark.parametrize(
    ("sql", "kind"),
    [("SELEC 1", SqlSyntaxError), ("SELECT * FROM nothing", TableNotFoundError)],
)
def test_a_refused_statement_is_kept_as_failed(
    replica: Replica, sql: str, kind: type[ServiceError]
) -> None:
    with pytest.raises(kind) as caught:
        replica.submit(sql)
    job_id = caught.value.details["job_id"]
    assert isinstance(job_id, str)
    view = replica.service.list(PROJECT, JobFilter(), cursor=None, limit=10).items[0]
    assert (view.job.id, view.job.state) == (job_id, JobState.FAILED)
    assert view.job.failure is not None
    assert view.job.failure.code == kind.code
    assert view.job.failure.line == 1
    events = replica.service.events(PROJECT, view.job.id)
    assert [event.kind for event in events] == ["refused"]


def test_a_cap_in_money_is_kept_with_its_cost(replica: Replica) -> None:
    replica.run("CREATE TABLE big AS SELECT id, uuid() AS u FROM range(100000)")
    with pytest.raises(CapExceededError):
        replica.submit("SELECT max(u) AS u FROM big", max_cost=0)
    view = replica.service.list(PROJECT, JobFilter(), cursor=None, limit=1).items[0]
    assert view.job.state is JobState.FAILED
    assert view.cost is not None
    assert view.cost.bytes_processed > 0
    assert replica.run("SELECT 1 AS one", max_cost=0).job.state is JobState.FINISHED


def test_readers_do_not_write(replica: Replica) -> None:
    with pytest.raises(WriteForbiddenError):
        replica.submit("CREATE DATABASE sales", may_write=False)
    assert replica.run("SELECT 1 AS one", may_write=False).job.state is JobState.FINISHED


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"queue": "nigt"}, QueueMissingError),
        ({"engine": "sprak"}, EngineUnknownError),
        ({"max_rows": -1}, RequestInvalidError),
        ({"timeout": timedelta(0)}, RequestInvalidError),
        ({"result_ttl": timedelta(days=400)}, RequestInvalidError),
        ({"labels": {"a": "b" * 300}}, RequestInvalidError),
    ],
)
def test_what_is_wrong_beside_the_sql_keeps_nothing(
    replica: Replica, changes: dict[str, object], kind: type[ServiceError]
) -> None:
    with pytest.raises(kind):
        replica.submit("SELECT 1 AS one", **changes)
    assert _kept(replica) == 0


def test_estimates_keep_nothing(replica: Replica) -> None:
    replica.run("CREATE TABLE big AS SELECT id FROM range(1000)")
    before = _kept(replica)
    request = replica.request("SELECT sum(id) AS s FROM big")
    estimate = replica.service.estimate(request)
    assert estimate.cost is not None
    assert estimate.quote is not None
    assert replica.service.validate(request).quote is None
    assert any("big" in line for line in replica.service.explain(request).text)
    with pytest.raises(SqlSyntaxError):
        replica.service.estimate(replica.request("SELEC"))
    assert _kept(replica) == before


def test_parameters_are_values(replica: Replica) -> None:
    rows = replica.query("SELECT :word AS w", parameters={"word": "it's \\ ; --"})
    assert rows == [{"w": "it's \\ ; --"}]


def test_a_key_is_one_statement(replica: Replica) -> None:
    request = replica.request("SELECT 1 AS one", idempotency_key="k", body_hash="a")
    first = replica.service.submit(request)
    replica.await_end(first.job.id)
    assert replica.service.submit(request).job.id == first.job.id
    other = replace(request, terms=replace(request.terms, body_hash="b"))
    with pytest.raises(IdempotencyConflictError):
        replica.service.submit(other)
    assert _kept(replica) == 1


def test_a_key_of_a_refused_statement_refuses_again(replica: Replica) -> None:
    request = replica.request("SELEC 1", idempotency_key="k", body_hash="a")
    told = []
    for _ in range(2):
        with pytest.raises(SqlSyntaxError) as caught:
            replica.service.submit(request)
        told.append((caught.value.message, caught.value.details))
    assert told[0] == told[1]
    assert _kept(replica) == 1


def test_a_full_queue_keeps_nothing(replica: Replica) -> None:
    replica.service.queues.create(make_queue(name="one", max_running=1, max_waiting=1))
    running = replica.submit(ENDLESS, queue="one")
    waiting = replica.service.submit(replica.request("SELECT 1 AS one", queue="one"))
    assert waiting.job.state is JobState.QUEUED
    wait = replica.view(waiting.job.id).wait
    assert wait is not None
    assert (wait.reason, wait.position) == ("queue_full", 1)
    with pytest.raises(QueueFullError):
        replica.submit("SELECT 2 AS two", queue="one")
    assert _kept(replica) == 2
    assert replica.run("SHOW DATABASES", queue="one").job.state is JobState.FINISHED
    replica.service.cancel(PROJECT, running)
    assert replica.await_end(waiting.job.id).job.state is JobState.FINISHED
    assert replica.view(running).job.state is JobState.CANCELLED


def test_a_queue_starts_more_when_its_limit_is_raised(replica: Replica) -> None:
    queue = replica.service.queues.create(make_queue(name="one", max_running=1))
    running = replica.submit(ENDLESS, queue="one")
    waiting = replica.submit("SELECT 1 AS one", queue="one")
    replica.service.queues.update(replace(queue, max_running=2))
    assert replica.await_end(waiting).job.state is JobState.FINISHED
    replica.service.cancel(PROJECT, running)
    replica.await_end(running)


def test_a_missing_table_is_no_suggestion_for_itself(replica: Replica) -> None:
    with pytest.raises(TableNotFoundError) as alone:
        replica.submit("SELECT * FROM default.orders")
    assert alone.value.hint is None
    replica.run("CREATE TABLE orders AS SELECT 1 AS n")
    with pytest.raises(TableNotFoundError) as near:
        replica.submit("SELECT * FROM default.order")
    assert near.value.hint == "did you mean default.orders?"
