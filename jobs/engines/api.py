"""What an engine promises: statements over bound tables, streamed as Arrow, and interruptible.

An ``Engine`` is a kind of server and knows how one is started and spoken to; a client speaks to one
server that runs; a session is one statement's private room in it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Protocol

import pyarrow as pa

from jobs.access.credentials import Credentials
from jobs.engines.executors import Executors
from jobs.launchers.api import Capacity, Launcher, PodOptions, RunSpec
from jobs.lifecycle.spec import EngineName
from sql.statement import Binding
from storage.base.clock import Clock
from storage.base.ids import ProjectId, RunId


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTerms:
    """What a queue says of pods: of its engines, and of the drivers of its batches."""

    executors: Executors | None = None  #: of its Spark engine; None: the driver computes
    template: Mapping[str, Any] = field(default_factory=dict)  #: a pod, of engines and drivers
    executor_template: Mapping[str, Any] = field(default_factory=dict)
    image: str | None = None  #: None: the installation's
    overcommit: int = 100  #: per cent of what is requested that may be used
    clusters: Mapping[str, int] = field(default_factory=dict)  #: weights; none: all, as equals

    def options(self, cores: int, memory_bytes: int) -> PodOptions:
        """Of a pod that may use so much."""
        return PodOptions(
            image=self.image,
            reserves=Capacity(
                cpu_millis=self.part(cores * 1000), memory_bytes=self.part(memory_bytes)
            ),
            template=self.template,
        )

    def with_image(self, image: str | None) -> PodTerms:
        """With pods of that image, executors among them; None: as they are."""
        if image is None:
            return self
        executors = self.executors and replace(self.executors, image=image)
        return replace(self, image=image, executors=executors)

    def part(self, limit: int) -> int:
        """What is requested for a limit, rounded up."""
        return -(-limit * 100 // self.overcommit)


#: What a queue says of pods now.
Terms = Callable[[ProjectId, str], PodTerms]
#: The images that engines of a queue may have now; None among them: no pods.
Images = Callable[[ProjectId, str], Collection[str | None]]


def no_terms(project_id: ProjectId, queue: str) -> PodTerms:
    """Of a queue that says nothing of pods."""
    return PodTerms()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineNeed:
    """What a server of an engine is wanted for, and what it may use."""

    run_id: RunId
    project_id: ProjectId
    queue: str
    directory: Path  #: its own, for temporary files
    memory_bytes: int
    cores: int
    terms: PodTerms = PodTerms()
    credentials: Credentials | None = None  #: of its project; None: the service's own
    #: what the server asks of whoever speaks to it, where its kind can; kept in memory only, since
    #: no engine outlives its service
    token: str = field(default_factory=lambda: token_urlsafe(32), repr=False)


class Engine(Protocol):
    """A kind of server. Stateless and thread-safe."""

    name: EngineName
    version: str

    def plan(self, need: EngineNeed) -> RunSpec:
        """What to launch. The port is free at this moment, which another process may end."""

    def check(self, binding: Binding) -> None:
        """Raise ``EngineCannotReadError`` for a table that this engine has no way to read."""

    def connect(self, address: str, token: str) -> EngineClient:
        """A client of the server at ``host:port`` whose need had that ``token``; nothing is sent
        yet."""

    def improve(self, launcher: Launcher, clock: Clock, stop: threading.Event) -> None:
        """Do what makes later starts faster, if anything; may take minutes, ends soon at ``stop``.

        A second call, in this or in another process, finds it done. Raises ``ServiceError``.
        """


class EngineClient(Protocol):
    """One running server, seen from here. Thread-safe."""

    def alive(self, timeout: float) -> bool:
        """Whether it answers the simplest question within ``timeout`` seconds."""

    def warm_up(self) -> None:
        """Let it meet each kind of statement once, where that makes the next one faster."""

    def end_warm_up(self) -> None:
        """Warm up no further: somebody has to see what else the engine does."""

    def idle(self) -> bool:
        """Whether the engine knows that it works on nothing; false where it cannot tell."""

    def open_session(self) -> EngineSession:
        """A session that shares nothing with any other. Raises ``EngineLostError``."""

    def open_client_session(self, session_id: str) -> ClientSession:
        """A session that a program of its own will use as well, under an id that it is told."""

    def close(self) -> None:
        """Let go of the connection; calls under way end with ``EngineLostError``."""


class ClientSession(Protocol):
    """A session for another process: it is made ready here, and ended here."""

    def configure(self, confs: Mapping[str, str]) -> None:
        """Set the session's own confs. Raises ``EngineStatementError`` and ``EngineLostError``."""

    def bind(self, binding: Binding) -> None:
        """As ``EngineSession.bind``."""

    def end(self) -> None:
        """Stop what runs in it and forget it, whoever uses it. Never raises."""


class ResultStream(Protocol):
    """The rows of one statement, to be read once, by one thread.

    Iterating raises what ``EngineSession.execute`` names. Leaving it unread does not stop the
    engine: interrupt the operation.
    """

    @property
    def schema(self) -> pa.Schema:
        """The columns; waits for the engine's first batch, so it raises like iterating."""

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches, empty ones left out."""


class EngineSession(Protocol):
    """A private room for one statement. Only ``interrupt`` may be called from other threads."""

    def bind(self, binding: Binding) -> None:
        """Make the table a temp view of exactly these files and columns.

        Raises ``InputFileMissingError``, ``EngineCannotReadError``, ``EngineStatementError`` and
        ``EngineLostError``.
        """

    def execute(self, sql: str, *, operation_id: str) -> ResultStream:
        """Start a query; ``operation_id`` is a new UUID.

        The stream raises ``EngineStatementError`` (the user's fault, by subclass),
        ``ResultTooLargeError`` (``write`` it instead), ``StatementInterruptedError`` after an
        interrupt, also where the engine itself calls that a success, and ``EngineLostError``.
        """

    def write(self, sql: str, *, operation_id: str, uri: str) -> None:
        """Run a query into Parquet files (zstd) of a folder that must not exist yet.

        No rows may mean no folder. Raises as ``execute``; files of a failed write stay behind.
        """

    def explain(self, sql: str) -> str:
        """The engine's plan, as it prints it. Raises as ``execute``."""

    def interrupt(self, operation_id: str) -> bool:
        """Stop the operation now or, if it has not begun, when it does; false if deaf.

        A deaf engine must be killed. What the operation burns may outlast a true answer: look at
        the process.
        """

    def release(self) -> None:
        """Forget the session and stop what runs in it. Never raises, and does not wait."""
