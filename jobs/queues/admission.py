"""Letting jobs in, in the caller's transaction. How those that wait start is in ``claims``.

One transaction at a time passes for each queue (``Database.lock``) and for each place, so what is
read here still holds when the transaction commits, on both databases and whichever replica asks:
a job starts when its queue, its place and its money are all reserved, or not at all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    FromClause,
    Select,
    TextClause,
    bindparam,
    func,
    literal,
    null,
    select,
    text,
    union_all,
)

from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName
from jobs.queues.definitions import (
    QueueClosedError,
    QueueDef,
    QueueFullError,
    QueueRefusesError,
    QueueState,
)
from jobs.queues.demand import Place, Running, Waiting, waiting_of
from jobs.queues.heads import heads
from jobs.queues.ledger import Ledger
from jobs.queues.policy import choose, fits
from jobs.queues.store import get
from jobs.store.rows import RUNS, WAITS, jobs
from jobs.usage import QueueBudget
from storage.base.ids import UserId
from storage.meta.database import Database, Tx
from storage.meta.prepared import Prepared

_EACH = 16  # of a line that are looked at when one job asks
_MILLI = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a queue does now. ``waiting`` is counted up to its bound only."""

    running: tuple[Running, ...] = ()
    waiting: int = 0

    @property
    def computing(self) -> int:
        """Running jobs that count against the queue's limit."""
        return sum(each.count for each in self.running if each.computes)


class Entry(NamedTuple):
    """How a job was let in, and the budget of its queue that its price counts against."""

    starts: bool
    budget: QueueBudget | None
    full: QueueFullError | None = None  #: what to raise if it starts not and would have to wait
    cluster: str | None = None  #: where it starts, if there are several and it takes room of one


def take_turn(database: Database, tx: Tx, place: Place) -> None:
    """Wait until nobody else lets jobs in or out of the queue, or deletes it."""
    database.lock(tx, f"queue:{place.project_id}:{place.queue}")


def take_turns(database: Database, tx: Tx, places: Collection[Place]) -> None:
    """``take_turn`` of each, in one order wherever it is asked for."""
    names = [f"queue:{place.project_id}:{place.queue}" for place in sorted(places)]
    database.lock_all(tx, names)


def let_in(
    ledger: Ledger, tx: Tx, job: Job, *, room: bool, served: bool = False, now: datetime
) -> Entry:
    """Let a job that is submitted now into its queue: to start at once, or to wait.

    It waits when others do, or when the replica that asks has no ``room`` to run it. ``served``:
    its engine lives here. Raises ``QueueFullError`` when it would have to wait and as many wait as
    the queue allows, ``QueueMissingError`` when the queue was deleted meanwhile,
    ``QueueClosedError`` and ``QueueRefusesError``.
    """
    asked = waiting_of(job)
    take_turn(ledger.database, tx, asked.place)
    queue = get(tx, *asked.place)
    check_admissible(queue, job)
    load_now = load_of(tx, queue)
    # What a run on its way waits for is taken: else all that wait could wait for it.
    full = None if job.parent_id is not None else _full(queue, load_now)
    if room:
        passes, cluster = _passes(ledger, tx, asked, queue, load_now, served=served, now=now)
        if passes:
            return Entry(True, queue.budget, full, cluster)
    if full is not None:
        raise full
    return Entry(False, queue.budget)


def _full(queue: QueueDef, load_now: Load) -> QueueFullError | None:
    if load_now.waiting < queue.max_waiting:
        return None
    return QueueFullError(
        f"{load_now.waiting} jobs wait in queue {queue.name}, as many as may",
        hint="try again later, or in another queue",
        queue=queue.name,
    )


def check_admissible(queue: QueueDef, job: Job) -> None:
    """Raise ``QueueClosedError`` or ``QueueRefusesError`` for what the queue never takes.

    A queue that is drained still takes the jobs of a pipeline run that is on its way.
    """
    told = f"queue {queue.name}"
    if queue.state is QueueState.CLOSED or (
        queue.state is QueueState.DRAINING and job.parent_id is None
    ):
        raise QueueClosedError(
            f"{told} is {queue.state.value} and takes no jobs",
            hint=f"choose another queue; an admin opens it with `dli queue resume {queue.name}`",
            queue=queue.name,
        )
    asked = waiting_of(job)
    if job.kind not in queue.kinds:
        kinds = ", ".join(sorted(queue.kinds))
        _refuse(f"{told} takes no {job.kind.value} jobs, only: {kinds}", "kind", queue)
    if asked.engine is not None and asked.engine not in queue.engines:
        engines = ", ".join(sorted(queue.engines))
        _refuse(f"{told} has no engine {asked.engine.value}, only: {engines}", "engine", queue)
    if not queue.min_priority <= job.priority <= queue.max_priority:
        most = f"{queue.min_priority} to {queue.max_priority}"
        _refuse(f"priorities in {told} are from {most}, not {job.priority}", "priority", queue)
    if queue.max_cu is not None and job.cpu_millis > queue.max_cu * _MILLI:
        cores = job.cpu_millis / _MILLI
        _refuse(f"{told} has {queue.max_cu} CU at most, the job needs {cores:g}", "size", queue)


def _refuse(message: str, name: str, queue: QueueDef) -> None:
    hint = f"`dli queue show {queue.name}` tells what it takes"
    raise QueueRefusesError(message, hint=hint, field=name, queue=queue.name)


def load_of(tx: Tx, queue: QueueDef) -> Load:
    """What runs and waits in the queue now."""
    place = Place(queue.project_id, queue.name)
    most = max(queue.max_waiting, 1)
    rows = _COUNT.all(tx, {"project": queue.project_id, "queue": queue.name, "most": most})
    running = tuple(
        Running(
            place=place,
            user_id=UserId(row.user_id),
            engine=None if row.engine is None else EngineName(row.engine),
            cpu_millis=row.cpu_millis,
            memory_bytes=row.memory_bytes,
            count=row.many,
        )
        for row in rows
        if row.user_id is not None
    )
    return Load(running=running, waiting=sum(row.many for row in rows if row.user_id is None))


def _passes(
    ledger: Ledger,
    tx: Tx,
    job: Waiting,
    queue: QueueDef,
    load_now: Load,
    *,
    served: bool,
    now: datetime,
) -> tuple[bool, str | None]:
    """Whether the job may start before it has waited at all, and in which cluster.

    What takes nothing of the place asks only its own queue, which is one query for nearly every
    statement; all else is chosen among all that wait.
    """
    if not job.computes:
        return True, None
    if job.sized or not served:
        ledger.lock(tx)
        others = heads(tx, now=now, each=_EACH)
        room = ledger.room(tx, {job.place, *(other.place for other in others)})
        known = tuple(other for other in others if other.place in room.queues)
        choice = choose((*known, job), room=room, now=now)
        return job.id in choice.start, choice.clusters.get(job.id)
    if load_now.waiting:
        return False, None
    return fits(job, queue, load_now.running, engine_cu=ledger.engine_cu), None


_HERE = (jobs.c.project_id == bindparam("project"), jobs.c.queue == bindparam("queue"))
_WAITS_HERE = (text("project_id = :project"), text("queue = :queue"), text(WAITS))
_ALIKE = (jobs.c.user_id, jobs.c.engine, jobs.c.cpu_millis, jobs.c.memory_bytes)
_RUNNING = select(*_ALIKE, func.count().label("many")).where(*_HERE, text(RUNS)).group_by(*_ALIKE)


def _counting(source: FromClause | TextClause) -> Select[None, None, int, int, int]:
    """Who waits, up to a bound, from an index of those alone."""
    some = select(literal(1).label("one")).select_from(source).where(*_WAITS_HERE)
    some_waiting = some.limit(bindparam("most")).subquery()
    return select(null(), null(), literal(0), literal(0), func.count()).select_from(some_waiting)


#: SQLite would take an index of lists, in which the other queues of the project are as well.
_COUNT = Prepared(
    {
        "sqlite": union_all(_RUNNING, _counting(text("jobs INDEXED BY ix_jobs_waiting"))),
        "postgresql": union_all(_RUNNING, _counting(jobs)),
    }
)
