"""Many statements by one transaction, on both databases: each as if it had been submitted alone."""

from __future__ import annotations

from pathlib import Path

from jobs.lifecycle.states import JobState
from jobs.service import JobFilter, StatementRequest
from tests.support.jobs import PROJECT, make_queue
from tests.support.replicas import start_replica


def test_what_can_be_kept_is_and_the_rest_is_left_alone(tmp_path: Path, database_url: str) -> None:
    with start_replica(tmp_path, database_url) as replica:
        replica.service.queues.create(make_queue(name="full", max_waiting=1))
        before = replica.submit("SELECT 0 AS n", idempotency_key="used")
        replica.await_end(before)

        def ask(sql: str, **changes: str) -> StatementRequest:
            return replica.request(sql, **changes)

        views = replica.service.submit_all(
            [
                ask("SELECT 1 AS n", idempotency_key="a"),
                ask("SELECT absent"),
                ask("SELECT 2 AS n", idempotency_key="used"),
                ask("SELECT 3 AS n", idempotency_key="b", queue="full"),
                ask("SELECT 4 AS n", idempotency_key="c", queue="full"),
                ask("SELECT 5 AS n", idempotency_key="d", queue="none"),
                ask("SELECT 6 AS n", idempotency_key="a"),
                ask("SELECT 7 AS n", idempotency_key="e"),
            ]
        )
        kept = [None if view is None else view.job.statement.sql for view in views]
        assert kept == [
            "SELECT 1 AS n", None, None, "SELECT 3 AS n", None, None, None, "SELECT 7 AS n",
        ]  # fmt: skip
        for view in views:
            if view is not None:
                assert view.job.state is JobState.QUEUED
                assert [event.kind for event in view.history] == ["submitted"]
                n = int(view.job.statement.sql.split()[1])
                assert replica.rows(replica.await_end(view.job.id)) == [{"n": n}]
        again = replica.service.submit(ask("SELECT 1 AS n", idempotency_key="a"))
        assert views[0] is not None
        assert again.job.id == views[0].job.id
        found = replica.service.list(PROJECT, JobFilter(), cursor=None, limit=100).items
        assert len(found) == 4, "of what was left alone nothing was kept"


def test_none_are_none(tmp_path: Path, database_url: str) -> None:
    with start_replica(tmp_path, database_url) as replica:
        assert list(replica.service.submit_all([])) == []
