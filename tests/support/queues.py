"""Builders of what the choice of the next jobs is made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from jobs.launchers.api import Capacity
from jobs.lifecycle.job import TURN_STEP
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.queues.definitions import QueueDef
from jobs.queues.demand import Choice, Place, Room, Running, Waiting
from jobs.queues.policy import choose
from storage.base.ids import JobId, ProjectId, UserId
from tests.support.jobs import NOW, PROJECT, make_queue

DEFAULT = Place(PROJECT, "default")
CU = {EngineName.SAIL: 1, EngineName.SPARK: 2}
GIB = 2**30


def make_waiting(name: str, **changes: Any) -> Waiting:
    """A statement for Sail; ``priority``, ``project``, ``queue``, ``user`` and ``at`` are short."""
    project = changes.pop("project", PROJECT)
    at: datetime = changes.pop("at", NOW)
    values: dict[str, Any] = {
        "id": JobId(name),
        "place": Place(ProjectId(project), changes.pop("queue", "default")),
        "user_id": UserId(changes.pop("user", "usr_1")),
        "kind": JobKind.STATEMENT,
        "engine": EngineName.SAIL,
        "turn": at - changes.pop("priority", 0) * TURN_STEP,
    }
    return Waiting(**values | changes)


def make_batch(name: str, *, cores: int = 1, gib: int = 0, **changes: Any) -> Waiting:
    """A batch of this size."""
    sizes = {"cpu_millis": cores * 1000, "memory_bytes": gib * GIB}
    return make_waiting(name, kind=JobKind.BATCH, engine=None, **sizes | changes)


def as_running(job: Waiting) -> Running:
    """What a job holds once it is started."""
    return Running(
        place=job.place,
        user_id=job.user_id,
        engine=job.engine,
        cpu_millis=job.cpu_millis,
        memory_bytes=job.memory_bytes,
        ends_by=job.ends_by,
    )


def make_room(
    *queues: QueueDef,
    running: Sequence[Running] = (),
    cores: int | None = None,
    gib: int = 1000,
    **changes: Any,
) -> Room:
    """A machine with ``cores``, without bounds by default; the default queue if none is given."""
    defs = queues or (make_queue(),)
    capacity = None
    if cores is not None:
        capacity = Capacity(cpu_millis=cores * 1000, memory_bytes=gib * GIB)
    values: dict[str, Any] = {
        "queues": {Place(queue.project_id, queue.name): queue for queue in defs},
        "running": tuple(running),
        "capacity": capacity,
        "engine_cu": CU,
    }
    return Room(**values | changes)


def chosen(waiting: Iterable[Waiting], room: Room | None = None, *, now: datetime = NOW) -> Choice:
    """The choice among these."""
    return choose(tuple(waiting), room=room or make_room(), now=now)
