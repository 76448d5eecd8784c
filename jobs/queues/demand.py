"""What the choice of the next jobs is made from: who waits, what is used, what there is. Pure.

Quantities are integers: thousandths of cores, bytes, seats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from jobs.execution.lanes import Lane, lane_of
from jobs.launchers.api import Capacity
from jobs.lifecycle.job import TURN_STEP, Job
from jobs.lifecycle.spec import EngineName, JobKind, StatementSpec
from jobs.queues.definitions import QueueDef
from jobs.views import Wait
from storage.base.ids import JobId, ProjectId, UserId

STEP = TURN_STEP  #: of waiting is worth one step of priority


ONLY = ""  #: stands for the one place that there is where no clusters are told apart


class Place(NamedTuple):
    """A queue by its key."""

    project_id: ProjectId
    queue: str


class Server(NamedTuple):
    """An engine that serves the statements of a queue on one replica."""

    place: Place
    engine: EngineName


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A queued job, as far as the order matters. ``engine`` is None where none is needed.

    ``turn`` orders a queue: see ``Job.turn``.
    """

    id: JobId
    place: Place
    user_id: UserId
    kind: JobKind
    engine: EngineName | None
    turn: datetime
    cpu_millis: int = 0
    memory_bytes: int = 0
    not_before: datetime | None = None
    ends_by: datetime | None = None  #: its hard time-out
    depth: int = 0  #: of a pipeline run: see ``Job.depth``
    for_money: bool = False  #: it is not paid for yet, and ``not_before`` is the next try

    @property
    def lane(self) -> Lane:
        """Whose seats it takes."""
        return lane_of(self.kind, self.depth)

    @property
    def computes(self) -> bool:
        """Whether it counts among those that a queue runs; catalog work and plans do not."""
        return self.engine is not None or self.sized

    @property
    def sized(self) -> bool:
        """Whether it takes a part of the machine for itself."""
        return bool(self.cpu_millis or self.memory_bytes)


def waiting_of(job: Job) -> Waiting:
    """The job as far as the order of the starts matters."""
    spec = job.spec
    return Waiting(
        id=job.id,
        place=Place(job.project_id, job.queue),
        user_id=job.user_id,
        kind=job.kind,
        engine=spec.engine if isinstance(spec, StatementSpec) else None,
        turn=job.turn,
        cpu_millis=job.cpu_millis,
        memory_bytes=job.memory_bytes,
        not_before=job.not_before,
        ends_by=job.deadline,
        depth=job.depth,
        for_money=job.waits_for_money,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Jobs that hold something: ``count`` alike, each of this size. ``here``: on our machine."""

    place: Place
    user_id: UserId
    engine: EngineName | None
    count: int = 1
    cpu_millis: int = 0
    memory_bytes: int = 0
    ends_by: datetime | None = None  #: the last of them, at the latest
    here: bool = True
    cluster: str = ONLY

    @property
    def computes(self) -> bool:
        """As ``Waiting.computes``."""
        return self.engine is not None or bool(self.cpu_millis or self.memory_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRoom:
    """One of several clusters. ``engines`` are bytes that engines hold there.

    ``closed`` is why nothing new starts there, for people; empty: it may.
    """

    capacity: Capacity
    engines: int = 0
    closed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """All that starts are measured against.

    ``capacity`` None: no bound is known. ``seats`` are what this replica can still take; None: do
    not ask. ``servers`` are the engines that live here, or are about to, and their memory.

    With ``clusters`` each job starts in one of them, and ``capacity`` is of them all; ``servers``
    are those in clusters that take statements still.
    """

    queues: Mapping[Place, QueueDef]
    running: tuple[Running, ...] = ()
    capacity: Capacity | None = None
    seats: Mapping[Lane, int] | None = None
    servers: Mapping[Server, int] = field(default_factory=dict)
    engine_cu: Mapping[EngineName, int] = field(default_factory=dict)
    engine_memory: Mapping[EngineName, int] = field(default_factory=dict)
    clusters: Mapping[str, ClusterRoom] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Jobs to start now, in order, and why each of the others waits.

    ``clusters`` are where those start that take room of one, if there are several.
    ``wants_memory``: one lacks nothing but memory, which engines that nobody uses may hold.
    """

    start: tuple[JobId, ...]
    waits: Mapping[JobId, Wait]
    wants_memory: bool = False
    clusters: Mapping[JobId, str] = field(default_factory=dict)
