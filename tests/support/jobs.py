"""Builders of jobs and queues for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.lifecycle.job import EngineName, Job, JobKind, StatementSpec
from jobs.lifecycle.states import JobState
from jobs.queues.definitions import QueueDef
from storage.base.ids import JobId, ProjectId, UserId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROJECT = ProjectId("default")


def make_spec(**changes: Any) -> StatementSpec:
    """A query for Sail, with ``changes``."""
    values: dict[str, Any] = {
        "sql": "select 1",
        "database": "default",
        "engine": EngineName.SAIL,
        "engine_reason": "queue default",
        "statement_type": "query",
        "timeout": timedelta(minutes=5),
        "result_ttl": timedelta(hours=1),
        "max_rows": 1000,
    }
    return StatementSpec(**values | changes)


def make_job(**changes: Any) -> Job:
    """A job just submitted, with ``changes``."""
    values: dict[str, Any] = {
        "id": JobId("stm_1"),
        "kind": JobKind.STATEMENT,
        "project_id": PROJECT,
        "user_id": UserId("usr_1"),
        "queue": "default",
        "spec": make_spec(),
        "state": JobState.QUEUED,
        "version": 1,
        "attempt": 0,
        "max_attempts": 3,
        "created_at": NOW,
        "deadline": NOW + timedelta(minutes=5),
    }
    return Job(**values | changes)


def make_queue(**changes: Any) -> QueueDef:
    """The default queue, with ``changes``."""
    return QueueDef(**{"project_id": PROJECT, "name": "default"} | changes)
