"""What may be set of the service: how it is reached, what it keeps, where and for how long."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from dli.billing.pricebook import DEFAULT_PRICES
from dli.settings.values import Paths, Size, Span, Words


class ServerSettings(BaseModel):
    """Server"""

    home: Path = Field(
        default_factory=lambda: Path.home() / ".dli",
        description="Folder of this replica: its database and warehouse unless they are set, the "
        "token of the first start, logs of engines. Two services never share one.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8420, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    admin_token: SecretStr | None = Field(
        None,
        min_length=24,
        description="Token of the first administrator, the same for all replicas. Without it the "
        "first start makes one and writes it to `token` in the home (mode 0600).",
    )
    metrics_token: SecretStr | None = Field(
        None,
        min_length=24,
        description="A token that opens `/metrics` and nothing else; administrators may always.",
    )
    api_threads: int = Field(
        40, ge=2, le=1000, description="Requests that are worked on at the same time (threads)."
    )
    max_body: Size = Field(
        2**20 * 4, description="Largest body of a request (size); a larger one is refused with 413."
    )
    rate_limit: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Requests a second that one token may send to this replica on average; more "
        "are refused with 429. 0: no limit.",
    )
    rate_burst: int = Field(
        200, ge=1, le=100_000, description="Requests of a token that may come at once above that."
    )
    max_wait: Span = Field(
        timedelta(seconds=60), description="Longest wait that a request may ask for (span)."
    )
    grace: Span = Field(
        timedelta(seconds=20),
        description="How long a stop waits for running statements (span); then they are handed "
        "over to another replica or to the next start.",
    )
    worker_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port on which a worker, which answers no requests, answers `/healthz`, "
        "`/readyz` and `/metrics`; not at all if not set. 0 takes a free one.",
    )


class StorageSettings(BaseModel):
    """Storage"""

    database_url: SecretStr | None = Field(
        None,
        description="Metadata database: `sqlite:////folder/file.db` or "
        "`postgresql://user:password@host/database`. Default: `meta.db` in the home.",
    )
    migrate: bool = Field(
        True,
        description="Whether a start brings the database to its schema; if not, it needs a "
        "`dli migrate` before.",
    )
    warehouse: str | None = Field(
        None,
        description="Where managed tables and results are kept: an absolute folder or "
        "`s3://bucket/prefix`. Default: `warehouse` in the home.",
    )
    allow_paths: Paths = Field(
        (),
        description="Folders whose files may be registered as tables, besides the home; "
        "separated by `:`.",
    )
    buckets: Words = Field(
        (), description="Buckets whose objects may be registered as tables; separated by commas."
    )
    s3_endpoint: str | None = Field(
        None, description="Host and port of the S3 service, such as `s3.eu-west-1.amazonaws.com`."
    )
    s3_region: str = Field("us-east-1", description="Region of the S3 service.")
    s3_access_key: SecretStr | None = Field(None, description="Access key of the S3 service.")
    s3_secret_key: SecretStr | None = Field(None, description="Secret key of the S3 service.")
    s3_secure: bool = Field(True, description="Whether the S3 service is spoken to by TLS.")


class AutomationSettings(BaseModel):
    """Schedules, triggers and webhooks"""

    webhook_private_targets: bool = Field(
        False,
        description="Whether webhooks may lead to this machine and to private networks.",
    )
    webhook_timeout: Span = Field(
        timedelta(seconds=10),
        ge=timedelta(milliseconds=100),
        description="How long the target of a webhook may take to connect, and to answer (span).",
    )


class RetentionSettings(BaseModel):
    """What is kept, and for how long"""

    jobs_kept: Span = Field(
        timedelta(days=90),
        ge=timedelta(days=1),
        description="A job is forgotten so long after its end (span), with its history. Its use "
        "and its bill are kept, and reports count it for ever.",
    )
    logs_kept: Span = Field(
        timedelta(days=30),
        ge=timedelta(hours=1),
        description="What a batch or a task wrote is removed so long after its end (span), and "
        "with its job at the latest.",
    )
    firings_kept: Span = Field(
        timedelta(days=30),
        ge=timedelta(days=1),
        description="Firings of schedules and triggers are forgotten so long after it (span).",
    )
    deliveries_kept: Span = Field(
        timedelta(days=30),
        ge=timedelta(days=1),
        description="Deliveries of webhooks are forgotten so long after their end (span).",
    )
    canary_trials_kept: Span = Field(
        timedelta(days=30),
        ge=timedelta(days=1),
        description="What became of statements on a canary is forgotten so long after it (span); "
        "the figures of canaries that ended are kept.",
    )
    idempotency_kept: Span = Field(
        timedelta(hours=24),
        ge=timedelta(hours=24),
        description="A request with the same `Idempotency-Key` is the same job for so long (span).",
    )


class MoneySettings(BaseModel):
    """Money"""

    prices: Path = Field(
        DEFAULT_PRICES, description="File of the dated price list; the shipped one is an example."
    )


class LogSettings(BaseModel):
    """Logs"""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level that is logged; SQL texts are logged at DEBUG only."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`json`, one object a line, or `text`; `auto`: text on a terminal."
    )
