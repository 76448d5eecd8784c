"""The pool's own values: what it may do, what it holds, and what it lets others see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobs.access.credentials import Credentials
from jobs.engines.api import EngineClient
from jobs.engines.obstacles import ObstacleKeeper
from jobs.lifecycle.spec import EngineName
from storage.base.errors import ServiceError
from storage.base.ids import ProjectId, RunId

_GIB = 1 << 30
_REMEMBERED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """What a pool may do. ``owner`` names this replica in the rows of runs."""

    owner: str
    memory: Mapping[EngineName, int] = field(
        default_factory=lambda: {EngineName.SAIL: 2 * _GIB, EngineName.SPARK: 2 * _GIB}
    )  #: bytes of one engine; it is killed above
    cores: int = 2  #: that one engine uses
    statements: int = 16  #: that share one engine; others wait
    idle: timedelta = timedelta(minutes=5)  #: an engine without statements is stopped after it
    max_age: timedelta = timedelta(hours=6)
    max_statements: int = 5_000
    max_rss_share: float = 0.8  #: of ``memory``; an engine above it is replaced
    start_timeout: timedelta = timedelta(seconds=120)
    stop_grace: timedelta = timedelta(seconds=2)
    probe_every: timedelta = timedelta(seconds=5)
    probe_timeout: timedelta = timedelta(seconds=2)
    deaf_after: timedelta = timedelta(seconds=30)  #: an engine that is silent so long is killed
    improve: bool = True  #: let engines prepare faster starts in the background


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What engines are kept apart by."""

    project_id: ProjectId
    queue: str
    engine: EngineName
    image: str | None = None  #: of its pod; None: what the queue's terms say when it is launched


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineHandle:
    """The right to run one statement on an engine, until it is released."""

    run_id: RunId
    engine: EngineName
    version: str
    client: EngineClient
    address: str  #: ``host:port`` of the server
    token: str = field(default="", repr=False)  #: that it asks for


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """An engine as operators see it."""

    run_id: RunId
    project_id: ProjectId
    queue: str
    engine: EngineName
    image: str | None
    state: str  #: starting, ready, leaving
    users: int
    served: int
    created_at: datetime
    start_seconds: float


@dataclass(slots=True, kw_only=True)
class PoolCounts:
    """Totals since the start. ``retired`` counts by reason: idle, old, dead, deaf, …"""

    started: int = 0
    failed: int = 0
    condemned: int = 0
    retired: dict[str, int] = field(default_factory=dict)
    #: how the last engines ended: exit code and reason
    last_ends: dict[RunId, tuple[int | None, str | None]] = field(default_factory=dict)

    def retire(self, reason: str) -> None:
        """Count one."""
        self.retired[reason] = self.retired.get(reason, 0) + 1

    def remember(self, run_id: RunId, ended: tuple[int | None, str | None]) -> None:
        """Keep how a run ended, for those who only notice later."""
        self.last_ends[run_id] = ended
        for old in list(self.last_ends)[:-_REMEMBERED]:
            del self.last_ends[old]

    def copy(self) -> PoolCounts:
        """One that does not change any more."""
        return replace(self, retired=dict(self.retired), last_ends=dict(self.last_ends))


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """An engine of the pool, guarded by the pool's lock; seconds are of the clock's monotonic."""

    key: Key
    run_id: RunId
    created_at: datetime
    used_at: float
    obstacles: ObstacleKeeper
    credentials: Credentials | None = None  #: of its project, when it was begun
    executor_cu: int = 0  #: thousandths of compute units of each of its executors
    address: str = ""
    token: str = field(default="", repr=False)
    client: EngineClient | None = None  #: set when it is ready
    failure: ServiceError | None = None  #: why it never was
    users: int = 0
    served: int = 0
    warming: int = 1
    start_seconds: float = 0.0
    ready_at: float = 0.0
    probed_at: float = 0.0
    known_at: float = 0.0  #: when its project's credentials were looked at
    silent_since: float | None = None
    retired: str | None = None  #: why it gets no more statements
    ending: bool = False
    unanswered: bool = False  #: its cluster did not answer when it was to start there
    ended: tuple[int | None, str | None] | None = None

    def view(self) -> EngineView:
        """What others may see of it."""
        state = "leaving" if self.retired else "ready" if self.client else "starting"
        return EngineView(
            run_id=self.run_id,
            project_id=self.key.project_id,
            queue=self.key.queue,
            engine=self.key.engine,
            image=self.key.image,
            state=state,
            users=self.users,
            served=self.served,
            created_at=self.created_at,
            start_seconds=self.start_seconds,
        )
