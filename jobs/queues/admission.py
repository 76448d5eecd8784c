"""Letting jobs in and letting them start, in the caller's transaction.

One transaction at a time passes for each queue (``Database.lock``), so counts that are read here
still hold when the transaction commits, on both databases and whichever replica asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, or_, select

from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName
from jobs.lifecycle.states import OWNED, JobState
from jobs.queues.definitions import QueueDef, QueueFullError
from jobs.queues.policy import BEHIND, WORKERS, Choice, Load, Waiting, choose
from jobs.queues.store import get
from jobs.store.jobs import apply, load
from jobs.store.rows import jobs
from jobs.views import Wait
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database, Tx

_LOOK_AHEAD = 256  # waiting jobs that are read at once: far more than a replica can start


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A queue by its key."""

    project_id: ProjectId
    queue: str


def take_turn(database: Database, tx: Tx, place: Place) -> None:
    """Wait until nobody else lets jobs in or out of the queue, or deletes it."""
    database.lock(tx, f"queue:{place.project_id}:{place.queue}")


def starts_now(
    database: Database,
    tx: Tx,
    place: Place,
    job: Waiting,
    *,
    room: bool,
    engine_cu: Mapping[EngineName, int],
    now: datetime,
) -> bool:
    """Let a job that is submitted now into the queue: to start at once (true), or to wait.

    It waits when others do, or when the replica that asks has no ``room`` to run it. Raises
    ``QueueFullError`` when it would have to wait and as many wait as the queue allows, and
    ``QueueMissingError`` when the queue was deleted meanwhile.
    """
    take_turn(database, tx, place)
    queue = get(tx, place.project_id, place.queue)
    load_now = load_of(tx, queue)
    if room and (job.engine is None or not load_now.waiting):
        choice = choose((job,), load=load_now, queue=queue, engine_cu=engine_cu, now=now)
        if choice.start:
            return True
    if load_now.waiting >= queue.max_waiting:
        raise QueueFullError(
            f"{load_now.waiting} statements wait in queue {queue.name}, as many as may",
            hint="try again later, or in another queue",
            queue=queue.name,
        )
    return False


def load_of(tx: Tx, queue: QueueDef) -> Load:
    """What runs and waits in the queue now."""
    running: dict[EngineName | None, int] = {}
    waiting = 0
    for state, engine, count in tx.execute(
        _COUNT, {"project": queue.project_id, "queue": queue.name}
    ):
        if state == JobState.QUEUED:
            waiting += count
        else:
            name = None if engine is None else EngineName(engine)
            running[name] = running.get(name, 0) + count
    return Load(running=running, waiting=waiting)


def start_waiting(
    database: Database,
    tx: Tx,
    place: Place,
    *,
    engine_cu: Mapping[EngineName, int],
    claim: Callable[[Job], Claimed | None],
    now: datetime,
) -> tuple[Job, ...]:
    """Claim those that may start now; the caller runs them after the commit.

    ``claim`` gives None for a job that the replica has no room for.
    """
    take_turn(database, tx, place)
    queue = get(tx, place.project_id, place.queue)
    choice = _choice(tx, queue, engine_cu=engine_cu, now=now)
    claimed = []
    for job_id in choice.start:
        job = load(tx, job_id)
        assert job is not None
        taken = claim(job)
        if taken is not None:
            claimed.append(apply(tx, job, taken))
    return tuple(claimed)


def wait_of(
    tx: Tx, job: Job, queue: QueueDef, *, engine_cu: Mapping[EngineName, int], now: datetime
) -> Wait:
    """Why this queued job waits, and behind how many."""
    choice = _choice(tx, queue, engine_cu=engine_cu, now=now)
    if job.id in choice.waits:
        return choice.waits[job.id]
    if job.id in choice.start:
        position = choice.start.index(job.id) + 1
        return Wait(reason=WORKERS, position=position, detail="it starts in a moment")
    position = (
        1
        + tx.execute(
            _COUNT_BEFORE, {"project": job.project_id, "queue": job.queue, "job": job.id}
        ).scalar_one()
    )
    return Wait(reason=BEHIND, position=position, detail="others were submitted before it")


def places(tx: Tx) -> tuple[Place, ...]:
    """The queues in which somebody waits."""
    return tuple(Place(project_id=row[0], queue=row[1]) for row in tx.execute(_PLACES))


def _choice(
    tx: Tx, queue: QueueDef, *, engine_cu: Mapping[EngineName, int], now: datetime
) -> Choice:
    rows = tx.execute(
        _WAITING, {"project": queue.project_id, "queue": queue.name, "most": _LOOK_AHEAD}
    )
    waiting = tuple(
        Waiting(
            id=JobId(row.id),
            engine=None if row.engine is None else EngineName(row.engine),
            not_before=row.not_before,
        )
        for row in rows
    )
    return choose(waiting, load=load_of(tx, queue), queue=queue, engine_cu=engine_cu, now=now)


_LIVE = [JobState.QUEUED.value, *sorted(state.value for state in OWNED)]
_HERE = (jobs.c.project_id == bindparam("project"), jobs.c.queue == bindparam("queue"))
_QUEUED = jobs.c.state == JobState.QUEUED.value
_COUNT = (
    select(jobs.c.state, jobs.c.engine, func.count())
    .where(*_HERE, or_(*(jobs.c.state == state for state in _LIVE)))
    .group_by(jobs.c.state, jobs.c.engine)
)
_WAITING = (
    select(jobs.c.id, jobs.c.engine, jobs.c.not_before)
    .where(*_HERE, _QUEUED)
    .order_by(jobs.c.created_at, jobs.c.id)
    .limit(bindparam("most"))
)
_COUNT_BEFORE = (
    select(func.count()).select_from(jobs).where(*_HERE, _QUEUED, jobs.c.id < bindparam("job"))
)
_PLACES = select(jobs.c.project_id, jobs.c.queue).where(_QUEUED).distinct()
