"""The tables of jobs. How they become values is in the modules beside."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    text,
)

from storage.meta.schema import METADATA
from storage.meta.types import Json, UtcDateTime

#: Conditions of small indexes, of those that wait and those that run: what ended costs them
#: nothing. Queries use the same words, or the indexes are not used for them.
WAITS = "state = 'queued'"
RUNS = "state IN ('starting', 'running', 'publishing', 'cancelling')"
_WAITING, _RUNNING = text(WAITS), text(RUNS)

jobs = Table(
    "jobs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("engine", String(16)),  # None: the catalog answers
    Column("spec", Json, nullable=False),
    Column("summary", Json, nullable=False),  # cost and findings: what is told of the plan
    Column("quote", Json),
    Column("state", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("ended_at", UtcDateTime),
    Column("deadline", UtcDateTime),
    Column("owner", String(64)),
    Column("lease_until", UtcDateTime),
    Column("not_before", UtcDateTime),
    Column("run_id", String(64)),
    Column("engine_version", String(64)),
    Column("image", String(512)),
    Column("canary_id", String(64)),
    Column("cancel_reason", String(16)),
    Column("failure", Json),
    Column("timings", Json),
    Column("usage", Json),  # by meter, over all attempts
    Column("progress_rows", BigInteger, nullable=False, default=0),
    Column("progress_bytes", BigInteger, nullable=False, default=0),
    Column("priority", Integer, nullable=False, default=0, server_default="0"),
    Column("parent_id", String(64), index=True),
    Column("node", String(128)),
    Column("cpu_millis", BigInteger, nullable=False, default=0, server_default="0"),
    Column("memory_bytes", BigInteger, nullable=False, default=0, server_default="0"),
    Column("client_until", UtcDateTime),
    Column("facts", Json),  # what a batch, task or pipeline came to: outputs, stages, nodes
    Column("turn", UtcDateTime, nullable=False, server_default="0"),  # orders a queue
    Column("cluster", String(16)),  # of its attempt's run; None: the only one, or none yet
    Index("ix_jobs_project", "project_id", "id"),
    Index("ix_jobs_listed", "project_id", "state", "id"),
    Index(
        "ix_jobs_running",
        "project_id",
        "queue",
        sqlite_where=_RUNNING,
        postgresql_where=_RUNNING,
    ),
    Index("ix_jobs_state", "state", "deadline"),
    Index(
        "ix_jobs_waiting",
        "project_id",
        "queue",
        "user_id",
        "turn",
        "id",
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    ),
)

#: What usage reports need of jobs that were forgotten; labels stay in their own table for them.
past_jobs = Table(
    "past_jobs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("engine", String(16)),
    Column("state", String(16), nullable=False),
    Column("ended_at", UtcDateTime, nullable=False, index=True),
)

#: The plan is beside the job, so that a step of the job does not write it again.
job_plans = Table(
    "job_plans",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("plan", LargeBinary, nullable=False),
)

job_events = Table(
    "job_events",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("detail", Json, nullable=False),
)

job_labels = Table(
    "job_labels",
    METADATA,
    Column("job_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("project_id", String(64), nullable=False),
    Column("value", String(256), nullable=False),
    Index("ix_job_labels_value", "project_id", "name", "value", "job_id"),
)

#: The unique key is what makes two replicas agree on one job.
idempotency_keys = Table(
    "idempotency_keys",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("key", String(256), primary_key=True),
    Column("body_hash", String(128), nullable=False),
    Column("job_id", String(64), nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)

queues = Table(
    "queues",
    METADATA,
    Column("project_id", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("default_engine", String(16), nullable=False),
    Column("max_running", Integer, nullable=False),
    Column("max_waiting", Integer, nullable=False),
    Column("max_cu", Integer),
    Column("timeout_ms", BigInteger, nullable=False),
    Column("guard_levels", Json, nullable=False),
    Column("max_bytes", BigInteger),
    Column("max_cost", BigInteger),
    Column("price_class", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String(16), nullable=False, server_default="open"),
    Column("kinds", Json),  # None in these three: the default
    Column("engines", Json),
    Column("conf_allowed", Json),
    Column("min_cu", Integer, nullable=False, server_default="0"),
    Column("max_running_per_user", Integer),
    Column("min_priority", Integer, nullable=False, server_default="-10"),
    Column("max_priority", Integer, nullable=False, server_default="10"),
    Column("default_priority", Integer, nullable=False, server_default="0"),
    Column("max_timeout_ms", BigInteger),
    Column("overcommit", Integer, nullable=False, server_default="100"),
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("monthly_budget", BigInteger),
    Column("user_weights", Json),  # None: all the same
    Column("pods", Json),  # None: the default
)

#: Of the clusters that take nothing new: who said so. Others have no row.
drained_clusters = Table(
    "drained_clusters",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("drained_at", UtcDateTime, nullable=False),
    Column("drained_by", String(64), nullable=False),
)

#: What each machine gives to jobs, by the name of the replica that starts them there.
capacities = Table(
    "capacities",
    METADATA,
    Column("place", String(128), primary_key=True),
    Column("cpu_millis", BigInteger, nullable=False),
    Column("memory_bytes", BigInteger, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
)
