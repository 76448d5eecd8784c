"""What was asked for, by kind of job; never changes after the submit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from jobs.lifecycle.events import Fault
from storage.base.ids import JobId


class JobKind(StrEnum):
    """What was asked for."""

    STATEMENT = "statement"  #: SQL
    BATCH = "batch"  #: a Spark program
    TASK = "task"  #: a command
    PIPELINE = "pipeline"  #: one run of a plan of the others

    @property
    def prefix(self) -> str:
        """With which ids of this kind begin."""
        return _PREFIXES[self]


_PREFIXES = {
    JobKind.STATEMENT: "stm",
    JobKind.BATCH: "bat",
    JobKind.TASK: "tsk",
    JobKind.PIPELINE: "plr",
}


#: Kinds whose attempts are runs of their own, which a restart of the service does not end.
RUNS = frozenset({JobKind.BATCH, JobKind.TASK})


class EngineName(StrEnum):
    """The engines that statements run on."""

    SAIL = "sail"
    SPARK = "spark"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When another attempt follows a failed one; ``attempts`` counts the first."""

    attempts: int = 3
    pause: timedelta = timedelta(seconds=1)  #: before the second; doubles with each further one
    on: tuple[Fault, ...] = (Fault.PLATFORM, Fault.MEMORY)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLease:
    """A job that is cancelled when its client has been silent for ``ttl``."""

    ttl: timedelta


class OnBudget(StrEnum):
    """What becomes of a statement that its month's budgets have no money for."""

    REFUSE = "refuse"  #: at the submit
    WAIT = "wait"  #: until there is money, its time-out at the latest


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRef:
    """A file that a job gets: uploaded and kept by content (``sha256``), or an object (``uri``)."""

    name: str  #: in the job's folder
    size: int
    sha256: str | None = None
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What one process of a job may use. A CU is 1 core with 4 GiB."""

    cores: int
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSpec:
    """A SQL statement."""

    sql: str
    database: str
    engine: EngineName | None  #: None: the queue's default
    engine_reason: str
    statement_type: str
    labels: Mapping[str, str] = field(default_factory=dict)
    max_cost: int | None = None  #: nanos
    max_bytes: int | None = None
    timeout: timedelta
    result_ttl: timedelta
    max_rows: int
    retry: RetryPolicy = RetryPolicy()
    lease: ClientLease | None = None
    on_budget: OnBudget = OnBudget.REFUSE


class BatchLanguage(StrEnum):
    """What kind of program a batch is."""

    PYTHON = "python"
    JAR = "jar"
    SQL = "sql"


class BatchSession(StrEnum):
    """Where a batch runs: as a driver of its own, or as a client of the queue's warm Spark."""

    OWN = "own"
    CONNECT = "connect"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpec:
    """A Spark program."""

    name: str
    program: FileRef
    language: BatchLanguage
    main_class: str | None = None  #: of a jar
    arguments: tuple[str, ...] = ()
    py_files: tuple[FileRef, ...] = ()
    jars: tuple[FileRef, ...] = ()
    files: tuple[FileRef, ...] = ()
    conf: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    database: str
    tables: tuple[str, ...] = ()  #: ``database.table`` of the catalog, each a view of its own name
    driver: Size
    size_reason: str = "as asked"
    executor: Size | None = None  #: None: the driver computes
    executors: int = 0
    session: BatchSession = BatchSession.OWN
    outputs: tuple[str, ...] = ()  #: patterns of files in its folder that are kept
    labels: Mapping[str, str] = field(default_factory=dict)
    max_cost: int | None = None  #: nanos
    timeout: timedelta
    retry: RetryPolicy = RetryPolicy()
    lease: ClientLease | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """A command with an image, or in a process of this machine."""

    name: str
    command: tuple[str, ...]
    image: str | None = None  #: None: a local process
    stdin: FileRef | None = None
    files: tuple[FileRef, ...] = ()
    outputs: tuple[str, ...] = ()  #: patterns of files in its folder that are kept
    environment: Mapping[str, str] = field(default_factory=dict)
    size: Size
    size_reason: str = ""  #: where nobody asked for it
    max_output_bytes: int
    labels: Mapping[str, str] = field(default_factory=dict)
    max_cost: int | None = None  #: nanos
    timeout: timedelta
    retry: RetryPolicy = RetryPolicy()
    lease: ClientLease | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """One run of a pipeline at one revision."""

    pipeline: str
    revision: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resumes: JobId | None = None  #: the run whose finished nodes are not run again
    depth: int = 0  #: how many runs it is within
    labels: Mapping[str, str] = field(default_factory=dict)
    max_cost: int | None = None  #: nanos
    timeout: timedelta
    retry: RetryPolicy = RetryPolicy()
    lease: ClientLease | None = None


JobSpec = StatementSpec | BatchSpec | TaskSpec | PipelineSpec
