"""Everything that may be set, with its unit and default, from the environment and a file.

A field ``port`` is set by ``DLI_PORT`` or by ``port = …`` in ``$DLI_HOME/dli.toml``; what the
command line says goes before the environment, and that before the file. Sizes are written like
``64MiB`` and spans like ``30s``. There is no global instance: ``load`` makes one, and the wiring
hands it on. ``docs/settings.md`` is made from this module.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import psutil
from pydantic import BaseModel, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dli.billing.pricebook import DEFAULT_PRICES
from jobs.tasks.sandbox import SandboxMode
from storage.base.errors import InvalidInputError
from storage.base.quantities import QuantityError, parse_size, parse_span

FILE = "dli.toml"


class InvalidSettingError(InvalidInputError):
    """A setting has a value that it cannot have, or the file has a name that is no setting."""

    code = "invalid_setting"


def _size(value: object) -> object:
    return _told(parse_size, value)


def _span(value: object) -> object:
    return _told(parse_span, value)


def _told(parse: object, value: object) -> object:
    if not isinstance(value, str) or not callable(parse):
        return value
    try:
        return parse(value)
    except QuantityError as error:
        raise ValueError(f"{error.message}: {error.hint}") from error


def _paths(value: object) -> object:
    return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value


def _words(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
Span = Annotated[timedelta, BeforeValidator(_span), Field(ge=timedelta(0))]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_paths)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


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


class StatementSettings(BaseModel):
    """Statements"""

    workers: int = Field(
        64, ge=1, le=1000, description="Statements that this replica runs at the same time."
    )
    max_attempts: int = Field(
        3,
        ge=1,
        le=10,
        description="How often a statement is tried when its engine or service dies.",
    )
    lease: Span = Field(
        timedelta(seconds=15),
        ge=timedelta(seconds=1),
        description="A statement whose replica is silent for so long is taken over (span).",
    )
    max_timeout: Span = Field(
        timedelta(hours=24), description="Longest time that a statement may ask for (span)."
    )
    result_ttl: Span = Field(
        timedelta(hours=24), description="How long a result is kept, if its statement says nothing."
    )
    max_result_ttl: Span = Field(
        timedelta(days=30), description="Longest time that a result may be kept (span)."
    )
    max_rows: int = Field(
        10_000_000, ge=1, description="Most rows of a result; it is truncated there and says so."
    )
    max_result_bytes: Size = Field(
        10 * 2**30, description="Most bytes of a result (size); it is truncated there and says so."
    )
    refresh_after: Span = Field(
        timedelta(seconds=10),
        description="How old the listing of an external table may be before it is looked at again "
        "(span).",
    )
    preparers: int = Field(
        2, ge=1, le=64, description="Child processes that parse and price statements."
    )
    prepare_limit: Span = Field(
        timedelta(seconds=2), description="Longest time to parse and price a statement (span)."
    )
    prepare_memory: Size = Field(
        2**30, description="Memory that parsing one statement may take (size)."
    )


class EngineSettings(BaseModel):
    """Engines"""

    sail_memory: Size = Field(
        2 * 2**30, ge=2**29, description="Memory of one Sail engine (size); it is killed above."
    )
    spark_memory: Size = Field(
        2 * 2**30 + 2**29,
        ge=2**30 + 2**28,
        description="Memory of one Spark engine with its JVM (size); it is killed above.",
    )
    engine_cores: int = Field(
        default_factory=lambda: (
            len(psutil.Process().cpu_affinity())
            if hasattr(psutil.Process, "cpu_affinity")
            else psutil.cpu_count() or 1
        ),
        ge=1,
        description="Cores that one engine uses; all of the machine's if not set.",
    )
    engine_statements: int = Field(
        16, ge=1, description="Statements that share one engine; others wait."
    )
    engine_idle: Span = Field(
        timedelta(minutes=5), description="An engine without statements is stopped after this."
    )
    engine_max_age: Span = Field(
        timedelta(hours=6), description="An engine that is older is replaced (span)."
    )
    engine_max_statements: int = Field(
        5000, ge=1, description="An engine that served so many statements is replaced."
    )
    engine_start_timeout: Span = Field(
        timedelta(minutes=2), description="How long an engine may take to start (span)."
    )
    engine_cache: Path = Field(
        default_factory=lambda: (
            Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dli"
        ),
        description="Folder for what makes Spark start faster; made once, good for any home.",
    )
    java_home: Path | None = Field(
        None, description="Java for Spark; the one that was installed with the service if not set."
    )


class LauncherSettings(BaseModel):
    """Where engines, batches and tasks run"""

    launcher: Literal["local", "kubernetes"] = Field(
        "local",
        description="`local`: as processes of this machine; `kubernetes`: as pods of a cluster, "
        "which needs a warehouse in S3 that pods reach.",
    )
    kubernetes_image: str | None = Field(
        None, description="Image of pods: this service's own, named by its digest or a fixed tag."
    )
    kubernetes_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When nodes pull the image."
    )
    kubernetes_pull_secrets: Words = Field(
        (),
        description="Names of Secrets in the namespace of pods with which nodes pull the image, "
        "and those of queues and tasks.",
    )
    kubernetes_namespace: str = Field("default", description="Namespace of the pods.")
    kubernetes_installation: str = Field(
        "dli",
        pattern="^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        description="Tells the pods of this service from those of another in the namespace; the "
        "same for all replicas.",
    )
    kubernetes_service_account: str | None = Field(
        None, description="Service account of Spark drivers, which start executors."
    )
    kubernetes_kubeconfig: Path | None = Field(
        None,
        description="File that says how to reach the cluster; if not set, as the service's own pod "
        "does.",
    )
    kubernetes_context: str | None = Field(None, description="Context of that file.")
    kubernetes_clusters: Path | None = Field(
        None,
        description="File of further clusters (TOML): a table for each by its name, with "
        "`kubeconfig`, `context` if it is not the current one, and `namespace`. Without it there "
        "is one cluster, called `default`; see docs/kubernetes.md.",
    )
    kubernetes_scratch: Size = Field(
        10 * 2**30,
        ge=2**26,
        description="Disk that a pod may use for its files and what it spills (size); it is ended "
        "above.",
    )
    kubernetes_shared_credentials: bool = Field(
        True,
        description="Whether engines and batches of a project without credentials of its own use "
        "the service's keys of S3; if not, they are refused.",
    )
    canary_shadow_timeout: Span = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=1),
        description="How long a query may take that is repeated on a canary (span); what took more "
        "than half of it is not repeated.",
    )
    canary_shadow_bytes: Size = Field(
        64 * 2**20,
        description="A larger result, as it is stored, is not compared with a canary's (size).",
    )
    spark_executors: int = Field(
        4,
        ge=0,
        le=1000,
        description="Most executors that a Spark engine in pods has, unless its queue says "
        "otherwise. It has one while it lives, and more while there is work for them; 0: its "
        "driver computes by itself.",
    )
    spark_executor_cores: int = Field(
        2, ge=1, le=256, description="Cores of one such executor, unless its queue says otherwise."
    )
    spark_executor_memory: Size = Field(
        4 * 2**30,
        ge=3 * 2**29,
        description="Memory of one such executor (size), unless its queue says otherwise.",
    )
    run_start_timeout: Span = Field(
        timedelta(minutes=5),
        description="A batch or task that the cluster does not start for so long is given up "
        "(span).",
    )


class WorkSettings(BaseModel):
    """Batches, tasks and pipelines"""

    run_workers: int = Field(
        32, ge=1, le=1000, description="Batches and tasks that this replica runs at the same time."
    )
    pipeline_workers: int = Field(
        64,
        ge=1,
        le=1000,
        description="Pipeline runs that this replica sees to at the same time; of those within "
        "others as many again, at each level.",
    )
    run_lease: Span = Field(
        timedelta(seconds=60),
        ge=timedelta(seconds=15),
        description="A batch or task goes on without its service for so long (span); a restart "
        "within it takes it over, then it is ended and tried again.",
    )


class BatchSettings(BaseModel):
    """Batches and files"""

    batches: bool = Field(
        True,
        description="Whether writers may run Spark programs. These run as the service's own user "
        "and can read what it can: turn them off where writers are strangers.",
    )
    max_upload: Size = Field(
        2**29, description="Largest file, or form with files, that may be uploaded (size)."
    )
    files_kept: Span = Field(
        timedelta(days=30),
        ge=timedelta(days=1),
        description="An uploaded file that no job named for so long is removed (span).",
    )
    batch_python: Path | None = Field(
        None,
        description="Python that runs batches, with PySpark 4.2.1; the service's own if not set.",
    )


class TaskSettings(BaseModel):
    """Tasks"""

    task_commands: Words = Field(
        (),
        description="Programs that tasks may run, separated by commas: a name, an absolute path, "
        "or `PROJECT:NAME` for one project only. None: there are no tasks. Whoever may write can "
        "give them any argument, and a shell lets them run anything. With the launcher "
        "`kubernetes` they are those of its image.",
    )
    task_images: Words = Field(
        (),
        description="Images that tasks may name, separated by commas, as "
        "`registry.example.org/tools/*`: `*` stands for any text. None: there are no tasks with "
        "images. Needs the launcher `kubernetes`.",
    )
    task_sandbox: SandboxMode = Field(
        SandboxMode.AUTO,
        description="`auto`: commands run in a sandbox (bubblewrap) where that works, else with "
        "limits only; `require`: no tasks without one; `off`: limits only. A pod is its own.",
    )
    task_paths: Paths = Field(
        (),
        description="Folders that commands may read in the sandbox, besides the system's programs "
        "and libraries; separated by `:`.",
    )
    task_max_output: Size = Field(
        2**30 * 2, description="Most bytes that one task may write (size)."
    )


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


class Settings(  # one flat name space: the groups are for people
    ServerSettings,
    StorageSettings,
    StatementSettings,
    EngineSettings,
    LauncherSettings,
    WorkSettings,
    BatchSettings,
    TaskSettings,
    AutomationSettings,
    RetentionSettings,
    MoneySettings,
    LogSettings,
    BaseSettings,
):
    """All settings of one replica. Secrets are never part of its ``repr``."""

    model_config = SettingsConfigDict(env_prefix="DLI_", extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the file in the home they name."""
        home = init_settings().get("home") or env_settings().get("home") or Path.home() / ".dli"
        file = TomlConfigSettingsSource(settings_cls, toml_file=Path(home).expanduser() / FILE)
        return (init_settings, env_settings, file)

    @property
    def folder(self) -> Path:
        """The home, absolute."""
        return self.home.expanduser().absolute()

    @property
    def metadata_url(self) -> str:
        """Of the metadata database, with its password."""
        given = self.database_url
        return given.get_secret_value() if given else f"sqlite:///{self.folder / 'meta.db'}"


#: In the order of the documentation.
GROUPS = tuple(
    group
    for group in Settings.__bases__
    if issubclass(group, BaseModel) and group is not BaseSettings
)


def load(**given: object) -> Settings:
    """The settings of this process; ``given`` go before the environment and the file.

    Raises ``InvalidSettingError``, which names the setting and never shows its value.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]  # checked by pydantic
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        if first["type"] == "extra_forbidden":
            message = f"{FILE} has {name!r}, which is no setting"
        else:
            message = f"the setting {name} (DLI_{name.upper()}): {first['msg']}"
        raise InvalidSettingError(message, hint="docs/settings.md has them all") from error
    except ValueError as error:  # TOML that cannot be read
        raise InvalidSettingError(f"{FILE} in the home cannot be read: {error}") from error
