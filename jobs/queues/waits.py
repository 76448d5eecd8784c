"""Why a job waits, when it will start, and what would start it now.

The last is the choice asked again with one thing changed, so it tells what would really happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from sqlalchemy import bindparam, func, select, text

from jobs.history.store import pace
from jobs.lifecycle.job import TURN_STEP, Job
from jobs.queues.admission import check_admissible
from jobs.queues.definitions import QueueClosedError, QueueDef, QueueRefusesError, QueueState
from jobs.queues.demand import Place, Room, Waiting, waiting_of
from jobs.queues.heads import heads
from jobs.queues.ledger import Ledger
from jobs.queues.policy import BUDGET, RETRY, WORKERS, choose
from jobs.queues.store import every
from jobs.store.rows import WAITS, jobs
from jobs.usage import Quote
from jobs.views import Wait, WaitOption
from storage.base.quantities import format_size
from storage.meta.database import Tx

_EACH = 16
_QUEUES = 8  #: others that are tried
_NANOS = 10**9
_SIZES = (2, 4)  #: parts of the size that are tried

#: The price of the job in another queue; None where it would be the same, or none is known.
Prices = Callable[[QueueDef], Quote | None]


@dataclass(frozen=True, slots=True)
class _Question:
    """The choice that a waiting job is in."""

    job: Job
    others: tuple[Waiting, ...]
    room: Room
    now: datetime

    def starts(self, changed: Waiting) -> bool:
        """Whether it would start now, if it were so."""
        return changed.id in choose((*self.others, changed), room=self.room, now=self.now).start


def wait_of(ledger: Ledger, tx: Tx, job: Job, *, now: datetime, prices: Prices) -> Wait | None:
    """Why this queued job waits, and behind how many; None when its queue is gone."""
    queues = every(tx, job.project_id)
    question = _question(ledger, tx, job, queues, now)
    asked = waiting_of(job)
    if asked.place not in question.room.queues:
        return None
    if job.waits_for_money:
        return Wait(reason=BUDGET, position=1 + _before(tx, job), detail=_unpaid(job))
    choice = choose((*question.others, asked), room=question.room, now=now)
    wait = choice.waits.get(job.id)
    if wait is None:
        position = choice.start.index(job.id) + 1
        return Wait(
            reason=WORKERS, position=position, detail="it starts in a moment", starts_at=now
        )
    position = 1 + _before(tx, job)
    return replace(
        wait,
        position=position,
        starts_at=_start_of(tx, question, wait, position),
        options=tuple(_options(question, queues, prices)) if wait.reason != RETRY else (),
    )


def _unpaid(job: Job) -> str:
    assert job.quote is not None, "what waits for money has a price"
    whole, part = divmod(job.quote.amount, _NANOS)
    price = f"{whole}.{part:09d}".rstrip("0").rstrip(".")
    return (
        f"it costs {price} {job.quote.currency}, and the budget of the month has not as much left; "
        "it starts when the budget is raised, others give money back, or the next month begins"
    )


def _question(
    ledger: Ledger, tx: Tx, job: Job, queues: Sequence[QueueDef], now: datetime
) -> _Question:
    found = heads(tx, now=now, each=_EACH)
    places = {Place(queue.project_id, queue.name) for queue in queues}
    where = ledger.best_place(tx, now)
    room = ledger.room(
        tx,
        places | {other.place for other in found},
        place=None if where is None else where[0],
        capacity=None if where is None else where[1],
    )
    others = tuple(other for other in found if other.id != job.id and other.place in room.queues)
    return _Question(job, others, room, now)


def _before(tx: Tx, job: Job) -> int:
    """How many of the queue have their turn first."""
    values = {"project": job.project_id, "queue": job.queue, "turn": job.turn, "job": job.id}
    return int(tx.execute(_COUNT_BEFORE[tx.dialect.name], values).scalar_one())


def _start_of(tx: Tx, question: _Question, wait: Wait, position: int) -> datetime | None:
    """A guess: those before it take as long as others did lately, as many at once as run now."""
    job, now = question.job, question.now
    if wait.reason == RETRY:
        return job.not_before
    place = Place(job.project_id, job.queue)
    if question.room.queues[place].state is QueueState.CLOSED:
        return None
    took = pace(tx, job.project_id, job.queue)
    if took is None:
        return None
    running = sum(each.count for each in question.room.running if each.place == place)
    return now + took * position / max(running, 1)


def _options(
    question: _Question, queues: Sequence[QueueDef], prices: Prices
) -> Iterator[WaitOption]:
    yield from islice(_other_queues(question, queues, prices), _QUEUES)
    yield from _higher_priority(question)
    yield from _smaller_size(question)


def _other_queues(
    question: _Question, queues: Sequence[QueueDef], prices: Prices
) -> Iterator[WaitOption]:
    job = question.job
    for queue in queues[: 4 * _QUEUES]:
        if queue.name == job.queue or not _takes(queue, job):
            continue
        moved = replace(job, queue=queue.name)
        if question.starts(waiting_of(moved)):
            quote = prices(queue)
            yield WaitOption(
                change="queue",
                value=queue.name,
                detail=f"in queue {queue.name}",
                quote=quote,
            )


def _takes(queue: QueueDef, job: Job) -> bool:
    try:
        check_admissible(queue, job)
    except (QueueClosedError, QueueRefusesError):
        return False
    return True


def _higher_priority(question: _Question) -> Iterator[WaitOption]:
    """The least one that is enough; a higher one never starts later, so halving finds it."""
    job = question.job
    asked = waiting_of(job)

    def starts(priority: int) -> bool:
        turn = asked.turn - (priority - job.priority) * TURN_STEP
        return question.starts(replace(asked, turn=turn))

    low, high = job.priority + 1, question.room.queues[asked.place].max_priority
    if low > high or not starts(high):
        return
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if starts(middle) else (middle + 1, high)
    yield WaitOption(change="priority", value=str(high), detail=f"with priority {high}")


def _smaller_size(question: _Question) -> Iterator[WaitOption]:
    asked = waiting_of(question.job)
    for part in _SIZES:
        if not asked.sized:
            return
        smaller = replace(
            asked, cpu_millis=asked.cpu_millis // part, memory_bytes=asked.memory_bytes // part
        )
        if question.starts(smaller):
            size = f"{smaller.cpu_millis / 1000:g} cores, {format_size(smaller.memory_bytes)}"
            yield WaitOption(change="size", value=size, detail=f"with {size} of memory")
            return


_BEFORE = (
    text("project_id = :project"),
    text("queue = :queue"),
    text(WAITS),
    text("(turn < :turn OR (turn = :turn AND id < :job))").bindparams(
        bindparam("turn", type_=jobs.c.turn.type)
    ),
)
_COUNT_BEFORE = {
    "sqlite": select(func.count())
    .select_from(text("jobs INDEXED BY ix_jobs_waiting"))
    .where(*_BEFORE),
    "postgresql": select(func.count()).select_from(jobs).where(*_BEFORE),
}
