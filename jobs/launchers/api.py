"""What every launcher promises: it starts, watches and stops runs, whatever they do.

A run is named before it is launched (its row says so), and one id starts at most one run, for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from jobs.launchers.problems import Problem
from storage.base.errors import ConflictError, UnavailableError
from storage.base.ids import RunId


class RunExistsError(ConflictError):
    """A run of this id was launched before."""

    code = "run_exists"


class LaunchError(UnavailableError):
    """The run could not be started: no such program, no more processes, no place on the disk."""

    code = "launch_failed"


class LaunchRefusedError(LaunchError):
    """The place where runs live refused this one; ``problem`` says why."""

    code = "launch_refused"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message, hint=problem.hint, **problem.details())
        self.problem = problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a run may use beside memory. ``cores`` None: all of the machine.

    No run ever gains rights that its service has not, and none writes core dumps.
    """

    cores: int | None = None
    nice: int = 0  #: 0 to 19; higher runs later
    open_files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """Processors and memory: of a place, or of one run."""

    cpu_millis: int  #: thousandths of cores
    memory_bytes: int


#: Of a place that does not say what it gives, as a cluster that shows neither nodes nor quota: runs
#: wait there then, and not here.
UNBOUNDED = Capacity(cpu_millis=10_000_000, memory_bytes=1 << 50)


class Asked(NamedTuple):
    """A kind of request to the API server of a cluster."""

    verb: str  #: of a Role's rule: get, list, watch, create, patch, delete
    resource: str  #: likewise: pods, pods/log
    code: str  #: of the answer's status; "none" without an answer


class SecretKey(NamedTuple):
    """A value in a Secret of the cluster that somebody else keeps there."""

    secret: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOptions:
    """What a run asks for that processes of a machine have no use for.

    ``template`` is a pod in the form of the Kubernetes API, merged with what the launcher makes by
    the rules of ``pods.merged``.
    """

    image: str | None = None  #: None: the launcher's own
    #: the image has nothing of ours: what runs in it is watched none the less, ``command[0]`` may
    #: be a name, and the environment is that of the image with the run's over it
    bare: bool = False
    reserves: Capacity | None = None  #: what is requested; None: as much as the run may use
    makes_pods: bool = False  #: it starts pods of its own, as the driver of executors does
    #: small texts by their names, which are there in ``directory`` before it begins
    files: Mapping[str, str] = field(default_factory=dict)
    #: values for the pods that it makes, by their keys in the secret ``pods.name_of(run_id)``
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: variables of the run whose values only its node reads; the run's own go before them
    variables: Mapping[str, SecretKey] = field(default_factory=dict)
    #: variables that the run gets as well if the cluster puts them into its pod
    passes: tuple[str, ...] = ()
    service_account: str | None = None  #: None: the launcher's default
    template: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What to start. ``environment`` is the whole of it, and may hold secrets: never shown.

    ``command[0]`` is a path. ``directory`` is ``Launcher.directory`` of the id; what ``prepare``'s
    caller put there is there. A run whose processes together use more than ``memory_bytes`` is
    killed, and so is one that writes more than ``max_output_bytes``: to its standard output, if
    that is a file, and to all files below ``directory``. No file may grow above that either.

    ``lease`` None: the run ends with its service. Else it survives a restart of the service, and
    has ended, to the last process, when ``Launcher.renew`` was not called for that long.
    """

    run_id: RunId
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: Path
    workdir: Path | None = None  #: where the command begins; None: ``directory``
    memory_bytes: int | None = None
    limits: Limits = Limits()
    labels: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None  #: where it will listen, for engines
    stdin: Path | None = None  #: a file; None: empty
    stdout: Path | None = None  #: a file that gets all of it, whole
    merged: bool = True  #: standard output and error are one log, "stdout"
    max_output_bytes: int | None = None
    timeout: timedelta | None = None  #: then it is ended, reason "deadline"
    lease: timedelta | None = None
    renewed_at: float | None = None  #: ``Launcher.moment`` from which the lease counts; None: now
    grace: timedelta = timedelta(seconds=2)  #: SIGTERM to SIGKILL when nobody named another
    wrapper: Path | None = None  #: a program whose processes get no SIGTERM, being only a cover
    #: of ``directory``: patterns of files and folders that the service wants to see after the end
    keeps: tuple[str, ...] = ()
    pod: PodOptions | None = None  #: what only pods have; None: the launcher's defaults

    def __post_init__(self) -> None:
        if self.stdout is not None and self.merged:
            raise ValueError("a run whose standard output is a file has an error log of its own")
        if self.lease is not None and self.lease < self.grace + LEAST_LEASE:
            raise ValueError(f"a lease of {self.lease} leaves no time beside a grace {self.grace}")


LEAST_LEASE = timedelta(seconds=2)  #: beyond the grace; a lease is looked at once a second


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
    """A run at one moment. ``exit_code`` is minus the signal's number after a signal.

    ``reason`` tells why it was ended: what ``stop`` was told ("stopped" if nothing), "memory",
    "output", "deadline", "lease", "orphaned", when its service or its warden died, or the code of
    ``problem``. None: it ended by itself. Usage is of all processes of the run; of one that is GONE
    it is what was last seen, a second before its end at most, and never more than it was.
    """

    run_id: RunId
    state: RunState
    exit_code: int | None = None
    reason: str | None = None
    problem: Problem | None = None  #: what keeps it from starting, or ended it
    pid: int | None = None  #: of the main process
    rss_bytes: int = 0  #: now
    peak_rss_bytes: int = 0  #: the most that was seen at once, and never less than any one had
    cpu_seconds: float = 0.0  #: so far
    elapsed_seconds: float = 0.0  #: from its start, on a clock that nobody sets
    #: of the pods that it made itself, together: each from its container's start to its end or now
    made_seconds: float = 0.0
    made_problem: Problem | None = None  #: what keeps one of those from starting now


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPart:
    """Output from ``offset``, later than asked where the beginning was let go; next: ``end``."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset that continues this part."""
        return self.offset + len(self.data)


class LogStream(StrEnum):
    """Which output of a run."""

    STDOUT = "stdout"
    STDERR = "stderr"


class Launcher(Protocol):
    """Starts runs somewhere. Thread-safe."""

    place: str | None  #: a name of what all its users share; None: it is this replica's alone

    def directory(self, run_id: RunId) -> Path:
        """The run's own folder, as the run sees it."""

    def prepare(self, run_id: RunId) -> Path:
        """Make the run's folder, to put there what the run needs; twice is the same as once.

        Raises ``RunExistsError`` for one that was launched, and ``LaunchError``.
        """

    def launch(self, spec: RunSpec) -> RunStatus:
        """Start it and return at once. Raises ``RunExistsError`` and ``LaunchError``."""

    def adopt(self, run_id: RunId) -> RunStatus:
        """Take over a run of a service that died; its status, with what it left cleared away.

        All that can be done with a run of one's own can be done with it, adopted or not; only one
        whose warden died must be adopted, or asked for its status, for its last process to end.
        """

    def status(self, run_id: RunId) -> RunStatus:
        """How it is; GONE for a run that was never launched or was forgotten."""

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        """End the run: SIGTERM, SIGKILL after ``grace``; returns when nothing of it is left.

        One that has ended already is no error. The first reason is the one that is told.
        """

    def moment(self) -> float:
        """Now, on the clock of leases: seconds."""

    def renew(self, run_ids: Iterable[RunId], *, at: float) -> None:
        """The leases of these runs count from ``at``; an older one changes nothing.

        ``at`` is the ``moment`` before the transaction began that renewed the lease of the runs'
        jobs, so that a run ends before another replica may take its job over. Runs that are not
        here, or have ended, are passed over.
        """

    def address(self, run_id: RunId, port: int) -> str | None:
        """``host:port`` where the run itself listens; None while it does not, or another does."""

    def logs(
        self, run_id: RunId, *, stream: LogStream = LogStream.STDOUT, offset: int = 0
    ) -> LogPart:
        """What it wrote: a part of a MiB at most, empty at the end; only the last part is kept.

        Of a run with one log for both it is the same for either stream. Of one whose standard
        output is a file, the log has the first MiB.
        """

    def running(self) -> Iterator[RunId]:
        """Every run of ``known`` that may still live."""

    def known(self) -> Iterator[RunId]:
        """Every run that is not forgotten, also those of a service that died.

        Where several replicas share a place: engines of this one, and the runs of all their jobs.
        """

    def forget(self, run_id: RunId) -> None:
        """Remove all traces of a run that has ended."""

    def capacity(self) -> Capacity:
        """What there is for runs, used or not."""

    def answers(self) -> bool:
        """Whether it can start runs now, as far as one question tells; it takes 2 seconds at most.

        One that does not answer may have runs that go on.
        """

    def requests(self) -> Mapping[Asked, int]:
        """How often the place's API server was asked since the start; empty where it has none."""

    def close(self) -> None:
        """End all that this launcher started without a lease; the others live on."""
