"""The tables of pipelines: revisions, the nodes of runs, and backfills by their days."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

pipelines = Table(
    "pipelines",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("revision", Integer, nullable=False),  # the one that new runs are of
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("deleted_at", UtcDateTime),  # its revisions stay: runs name them
)

pipeline_revisions = Table(
    "pipeline_revisions",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("text", Json, nullable=False),  # canonical
    Column("hash", String(64), nullable=False),
    Column("graph", Json, nullable=False),  # order and edges, as they were understood then
    Column("user_id", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("rolled_back_to", Integer),
)

pipeline_nodes = Table(
    "pipeline_nodes",
    METADATA,
    Column("run_id", String(64), primary_key=True),
    Column("node", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),  # jobs that were submitted, or are about to be
    Column("job_id", String(64)),
    Column("document", Json),  # of the current attempt, without references
    Column("outputs", Json),
    Column("reason", Text),
    Column("failure", Json),
    Column("not_before", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("taken_from", String(64)),  # the run that it succeeded in
)

backfills = Table(
    "pipeline_backfills",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("parameter", String(64), nullable=False),  # that gets the day
    Column("parameters", Json, nullable=False),  # all others
    Column("first", String(10), nullable=False),  # 2026-01-31
    Column("last", String(10), nullable=False),
    Column("parallel", Integer, nullable=False),
    Column("max_cost", BigInteger),  # nanos
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Index("ix_pipeline_backfills_place", "project_id", "name", "id"),
    Index("ix_pipeline_backfills_state", "state"),
)

backfill_days = Table(
    "pipeline_backfill_days",
    METADATA,
    Column("backfill_id", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),  # runs that were started, or are about to be
    Column("run_id", String(64)),  # None while it is about to be submitted
    Column("resumes", String(64)),  # the run before, whose successes are taken over
    Column("spent", BigInteger, nullable=False),  # nanos, by its runs that have ended
    Column("reserved", BigInteger, nullable=False),  # nanos, for the run that goes on
    Column("reason", Text),
)
