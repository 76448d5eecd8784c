"""What every launcher promises: it starts, watches and stops runs, whatever they do.

A run is named before it is launched (its row says so), and one id starts at most one run, for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from storage.base.errors import ConflictError, UnavailableError
from storage.base.ids import RunId


class RunExistsError(ConflictError):
    """A run of this id was launched before."""

    code = "run_exists"


class LaunchError(UnavailableError):
    """The run could not be started: no such program, no more processes, no place on the disk."""

    code = "launch_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What to start. ``environment`` is the whole of it, and may hold secrets: never shown.

    ``command[0]`` is a path. ``directory`` is ``Launcher.directory`` of the id: the working
    directory, empty at the start, removed by ``forget``. A run that uses more than
    ``memory_bytes`` is killed.
    """

    run_id: RunId
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: Path
    memory_bytes: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None  #: where it will listen, for engines


class RunState(StrEnum):
    """EXITED has its exit facts; GONE has none, but it is known that nothing of it runs."""

    STARTING = "starting"
    RUNNING = "running"
    EXITED = "exited"
    GONE = "gone"

    @property
    def ended(self) -> bool:
        """Whether nothing of the run is left."""
        return self in {RunState.EXITED, RunState.GONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run at one moment. ``exit_code`` is minus the signal's number after a signal."""

    run_id: RunId
    state: RunState
    exit_code: int | None = None
    reason: str | None = None  #: stopped, memory, orphaned: why we ended it; None: by itself
    pid: int | None = None
    rss_bytes: int = 0  #: now, of the main process
    cpu_seconds: float = 0.0  #: so far, of the whole run as far as it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Output from ``offset``, later than asked where the beginning was let go; next: ``end``."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset that continues this part."""
        return self.offset + len(self.data)


class Launcher(Protocol):
    """Starts runs somewhere. Thread-safe. A run does not outlive the service that started it."""

    def directory(self, run_id: RunId) -> Path:
        """The run's own folder, as the run sees it."""

    def launch(self, spec: RunSpec) -> RunStatus:
        """Start it and return at once. Raises ``RunExistsError`` and ``LaunchError``."""

    def status(self, run_id: RunId) -> RunStatus:
        """How it is; GONE for a run that was never launched or was forgotten."""

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        """End the run: SIGTERM, SIGKILL after ``grace``; returns when nothing of it is left.

        One that has ended already is no error.
        """

    def address(self, run_id: RunId, port: int) -> str | None:
        """``host:port`` where the run itself listens; None while it does not, or another does."""

    def logs(self, run_id: RunId, *, offset: int = 0) -> LogPart:
        """What it wrote on its standard output and error; only the last part is kept."""

    def running(self) -> Iterator[RunId]:
        """Every run of this launcher that may still live, also those of a service that died."""

    def known(self) -> Iterator[RunId]:
        """Every run that is not forgotten, also those of a service that died."""

    def forget(self, run_id: RunId) -> None:
        """Remove all traces of a run that has ended."""

    def close(self) -> None:
        """End all that this launcher started."""
