"""Who of those that wait starts now, and why the others do not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs.lifecycle.spec import EngineName
from jobs.queues.definitions import QueueDef
from jobs.views import Wait
from storage.base.ids import JobId

LIMIT = "queue_full"  #: as many run as the queue allows
COMPUTE = "cu_limit"  #: another engine would pass the queue's compute units
RETRY = "retry_pause"  #: a failed attempt is being waited out
BEHIND = "behind_others"  #: an earlier one must start first
WORKERS = "starting_soon"  #: nothing of the queue is in the way: a replica has to take it


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A queued job, as far as the order matters. ``engine`` is None for catalog statements."""

    id: JobId
    engine: EngineName | None
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What runs in a queue: jobs by engine. Engines are shared, so a CU counts once an engine."""

    running: Mapping[EngineName | None, int] = field(default_factory=dict)
    waiting: int = 0

    @property
    def computing(self) -> int:
        """Running jobs that need an engine."""
        return sum(count for engine, count in self.running.items() if engine is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Jobs to start now, in order, and why each of the others waits."""

    start: tuple[JobId, ...]
    waits: Mapping[JobId, Wait]


def choose(
    waiting: Sequence[Waiting],
    *,
    load: Load,
    queue: QueueDef,
    engine_cu: Mapping[EngineName, int],
    now: datetime,
) -> Choice:
    """Start in the order given (that of the submits) until something is in the way.

    Nobody overtakes one that waits for room, or an engine that is never idle would starve it; but
    a job in its pause after a failed attempt is passed by. Catalog statements need no room.
    """
    running = dict(load.running)
    computing = load.computing
    start: list[JobId] = []
    waits: dict[JobId, Wait] = {}
    blocked = False
    for job in waiting:
        reason, detail = "", ""
        if job.not_before is not None and job.not_before > now:
            reason, detail = RETRY, "the last attempt failed; the next one starts after a pause"
        elif job.engine is not None:
            if blocked:
                reason, detail = BEHIND, "others were submitted before it"
            elif computing >= queue.max_running:
                reason = LIMIT
                detail = f"{computing} statements run in queue {queue.name}, as many as may"
            elif _exceeds(running, job.engine, queue, engine_cu):
                reason = COMPUTE
                detail = f"another engine would pass the {queue.max_cu} CU of queue {queue.name}"
            blocked = blocked or reason in (LIMIT, COMPUTE)
        if reason:
            waits[job.id] = Wait(reason=reason, position=len(waits) + 1, detail=detail)
            continue
        start.append(job.id)
        running[job.engine] = running.get(job.engine, 0) + 1
        computing += job.engine is not None
    return Choice(start=tuple(start), waits=waits)


def _exceeds(
    running: Mapping[EngineName | None, int],
    engine: EngineName,
    queue: QueueDef,
    engine_cu: Mapping[EngineName, int],
) -> bool:
    """Whether one more engine of this kind would pass the queue's compute units.

    The first one in an empty queue always may: a limit below one engine would be a dead end.
    """
    used = {name for name, count in running.items() if count and name is not None}
    if queue.max_cu is None or engine in used or not used:
        return False
    return sum(engine_cu.get(name, 1) for name in used | {engine}) > queue.max_cu
