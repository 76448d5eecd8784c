"""What a queue does at this moment, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select, text

from jobs.lifecycle.spec import EngineName
from jobs.queues.admission import load_of
from jobs.queues.definitions import QueueDef
from jobs.store.rows import WAITS, jobs
from storage.base.ids import UserId
from storage.meta.database import Tx

_MILLI = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLoad:
    """The part of one user."""

    running: int = 0  #: jobs that compute
    waiting: int = 0
    weight: int = 1  #: of the user in this queue


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """Of the whole queue, over all replicas; ``cu_millis`` counts each engine in use once."""

    running: int
    waiting: int
    cu_millis: int
    users: Mapping[UserId, UserLoad]


def queue_load(tx: Tx, queue: QueueDef, *, engine_cu: Mapping[EngineName, int]) -> QueueLoad:
    """Who runs and waits in the queue now."""
    running = [each for each in load_of(tx, queue).running if each.computes]
    key = {"project": queue.project_id, "queue": queue.name}
    waiting = {row.user_id: row.many for row in tx.execute(_WAITING, key)}
    runs: dict[UserId, int] = {}
    for each in running:
        runs[each.user_id] = runs.get(each.user_id, 0) + each.count
    engines = {each.engine for each in running if each.engine is not None}
    return QueueLoad(
        running=sum(runs.values()),
        waiting=sum(waiting.values()),
        cu_millis=sum(engine_cu.get(engine, 1) * _MILLI for engine in engines)
        + sum(each.cpu_millis * each.count for each in running),
        users={
            user_id: UserLoad(
                running=runs.get(user_id, 0),
                waiting=waiting.get(user_id, 0),
                weight=queue.user_weights.get(user_id, 1),
            )
            for user_id in sorted(runs.keys() | waiting.keys())
        },
    )


_WAITING = (
    select(jobs.c.user_id, func.count().label("many"))
    .where(
        jobs.c.project_id == bindparam("project"), jobs.c.queue == bindparam("queue"), text(WAITS)
    )
    .group_by(jobs.c.user_id)
)
