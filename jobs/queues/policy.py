"""Who of those that wait starts now, and why the others do not. Pure.

Jobs are looked at in the order of ``shares``: fair between projects, queues and users, by class
inside a queue. One starts if no limit is in the way and it makes nobody later who was first. The
first one that a queue or the machine has no room for is kept a place (``books.Reservation``), so
that small jobs fill gaps but nobody is overtaken for ever. Where there are several clusters, a job
starts in the first one of its queue's (``spread``) that has room for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from jobs.lifecycle.spec import EngineName
from jobs.queues.books import MILLI, Amounts, Books, Dimension, Reservation
from jobs.queues.definitions import QueueDef, QueueState
from jobs.queues.demand import ONLY, Choice, Place, Room, Running, Waiting
from jobs.queues.shares import Shares, in_turn
from jobs.queues.spread import Spread
from jobs.views import Wait
from storage.base.ids import JobId
from storage.base.quantities import format_size

LIMIT = "queue_full"  #: as many run as the queue allows
USER = "user_limit"  #: as many of the user's run as the queue allows one user
COMPUTE = "cu_limit"  #: it would pass the queue's compute units
CAPACITY = "capacity"  #: the machine has not as much free
NO_CLUSTER = "no_cluster"  #: all clusters of the queue are drained, or do not answer
SHARE = "share"  #: others have less of the machine, and are first
CLOSED = "queue_closed"  #: the queue starts nothing until it is opened
BUDGET = "budget"  #: the month has no money for it
RETRY = "retry_pause"  #: a failed attempt is being waited out
BEHIND = "behind_others"  #: one that is before it in its queue must start first
WORKERS = "starting_soon"  #: nothing is in the way: a replica has to take it
WARM_UP = "warm_up"  #: it has its place, and its engine is being started

_OF_QUEUE = frozenset({"running", "cu"})


def choose(
    waiting: Sequence[Waiting],
    *,
    room: Room,
    now: datetime,
    most: int | None = None,
    told: bool = True,
) -> Choice:
    """What starts now, in order; each of the others waits, and is told why.

    Nothing that is started passes a limit together with what runs. Every queue of ``waiting`` is in
    ``room.queues``. With ``most`` the choice ends when so many start; without ``told`` nobody asks
    for reasons, and there are none.
    """
    round_ = _Round(room, now, told=told)
    for job in in_turn(waiting, round_.shares, now):
        round_.decide(job)
        if len(round_.started) == most:
            break
    return Choice(
        start=tuple(round_.started),
        waits=round_.waits,
        wants_memory=round_.wants_memory,
        clusters=round_.clusters,
    )


def fits(
    job: Waiting,
    queue: QueueDef,
    running: Sequence[Running],
    *,
    engine_cu: Mapping[EngineName, int],
) -> bool:
    """What ``choose`` says of one job that waits alone and takes nothing of the machine.

    It is asked for nearly every statement, so it looks at no more than the queue's own limits.
    """
    assert not job.sized
    if queue.state is QueueState.CLOSED:
        return False
    computing = [each for each in running if each.computes]
    most = queue.max_running_per_user
    if sum(each.count for each in computing) >= queue.max_running:
        return False
    mine = (each.count for each in computing if each.user_id == job.user_id)
    if most is not None and sum(mine) >= most:
        return False
    engines = {each.engine for each in computing if each.engine is not None}
    if queue.max_cu is None or job.engine is None or job.engine in engines:
        return True
    used = sum(engine_cu.get(engine, 1) * MILLI for engine in engines)
    used += sum(each.cpu_millis * each.count for each in computing)
    needed = min(engine_cu.get(job.engine, 1), queue.max_cu) * MILLI
    return used + needed <= queue.max_cu * MILLI


class _Lack(NamedTuple):
    """What is missing for a start in one place."""

    cluster: str
    needs: Amounts
    lacking: Sequence[Dimension]

    @property
    def wanted(self) -> Amounts:
        """What has to be kept for it."""
        return {name: need for name, need in self.needs.items() if name[0] != "seats"}


class _Round:
    """One choice under way."""

    def __init__(self, room: Room, now: datetime, *, told: bool) -> None:
        self._tell = told
        self.shares = Shares(room)
        self.started: list[JobId] = []
        self.waits: dict[JobId, Wait] = {}
        self.wants_memory = False
        self.clusters: dict[JobId, str] = {}
        self._spread = Spread(room)
        self._room = room
        self._now = now
        self._books = Books(room)
        self._kept: dict[Place, Reservation] = {}  #: of the first one that a queue holds up
        self._first: tuple[Waiting, Reservation] | None = None  #: that the machine holds up
        self._counts: dict[Place, int] = {}

    def decide(self, job: Waiting) -> bool:
        """Start it, or tell why not; whether it was started."""
        if job.not_before is not None and job.not_before > self._now:
            if job.for_money:
                return self._wait(job, BUDGET, "the budget of the month has no money for it")
            return self._wait(
                job, RETRY, "the last attempt failed; the next one starts after a pause"
            )
        queue = self._room.queues[job.place]
        if queue.state is QueueState.CLOSED:
            return self._wait(job, CLOSED, f"queue {queue.name} is closed and starts nothing")
        lacks: list[_Lack] = []
        in_the_way: tuple[str, str] | None = None
        for cluster in self._places(job):
            needs = self._books.needs(job, cluster)
            lacking = self._books.lacking(needs)
            if lacking:
                lacks.append(_Lack(cluster, needs, lacking))
                continue
            held = self._books.holds(job, needs, cluster)
            found = self._in_the_way(job, held)
            if found is None:
                self._start(job, needs, held, cluster)
                return True
            in_the_way = in_the_way or found
        if in_the_way is not None:
            return self._wait(job, *in_the_way)
        if not lacks:
            return self._tell and self._wait(job, NO_CLUSTER, self._spread.closed_to(job))
        self._keep_place(job, lacks)
        return self._tell and self._wait(job, *self._told(job, lacks))

    def _places(self, job: Waiting) -> tuple[str, ...]:
        """Where it may start, the best first."""
        if not self._room.clusters or not self._books.settles(job):
            return (ONLY,)
        return self._spread.order(job)

    def _start(self, job: Waiting, needs: Amounts, held: Amounts, cluster: str) -> None:
        self._books.start(job, needs, cluster)
        for reservation in self._reservations(job):
            reservation.take(held, job.ends_by)
        self.shares.start(job)
        if cluster != ONLY:
            self._spread.start(job, cluster)
            self.clusters[job.id] = cluster
        self.started.append(job.id)

    def _keep_place(self, job: Waiting, lacks: Sequence[_Lack]) -> None:
        """For the first one that a queue, or the machine, has no room for."""
        able = [each for each in lacks if not self._books.never(each.needs)]
        names = {name[0] for each in able for name in each.lacking}
        if not able or "user" in names:
            return
        self.wants_memory = self.wants_memory or names == {"memory"}
        if names & _OF_QUEUE:
            if job.place not in self._kept:
                self._kept[job.place] = self._books.reserve(able[0].wanted)
        elif self._first is None and "seats" not in names:
            found = [self._books.reserve(each.wanted) for each in able]
            # Without a moment engines hold it: they may live on for long.
            sure = [(each.at, index) for index, each in enumerate(found) if each.at is not None]
            if sure:
                self._first = job, found[min(sure)[1]]

    def _reservations(self, job: Waiting) -> list[Reservation]:
        found = [self._kept[job.place]] if job.place in self._kept else []
        return found if self._first is None else [*found, self._first[1]]

    def _in_the_way(self, job: Waiting, held: Amounts) -> tuple[str, str] | None:
        """Which wait it is, if it would make one that was first later."""
        kept = self._kept.get(job.place)
        if kept is not None and not kept.allows(held, job.ends_by):
            return BEHIND, "one that is before it in the queue waits for the same room"
        if self._first is None or self._first[1].allows(held, job.ends_by):
            return None
        if self._first[0].place == job.place:
            return BEHIND, "one that is before it in the queue waits for the same room"
        return SHARE, "another queue has its turn first, and needs the same room"

    def _told(self, job: Waiting, lacks: Sequence[_Lack]) -> tuple[str, str]:
        queue = self._room.queues[job.place]
        name = lacks[0].lacking[0]
        match name[0]:
            case "seats":
                return WORKERS, "it starts as soon as the replica has a free thread"
            case "running":
                return LIMIT, f"{queue.max_running} jobs run in queue {queue.name}, as many as may"
            case "user":
                most = queue.max_running_per_user
                return USER, f"{most} jobs of the user run in queue {queue.name}, as many as may"
            case "cu":
                what = "it" if job.engine is None else "another engine"
                return COMPUTE, f"{what} would pass the {queue.max_cu} CU of queue {queue.name}"
        return CAPACITY, self._capacity_told(lacks)

    def _capacity_told(self, lacks: Sequence[_Lack]) -> str:
        first, name = lacks[0], lacks[0].lacking[0]
        need = _amount(name, first.needs[name])
        if first.cluster == ONLY:
            if name in self._books.never(first.needs):
                return f"it needs {need}, more than the whole machine gives to jobs"
            return f"it needs {need}, and {_amount(name, self._books.left(name))} are free"
        if all(self._books.never(each.needs) for each in lacks):
            names = ", ".join(each.cluster for each in lacks)
            return f"it needs {need}, more than any of its clusters gives to jobs: {names}"
        free = ", ".join(
            f"{_amount(each.lacking[0], self._books.left(each.lacking[0]))} in {each.cluster}"
            for each in lacks
        )
        return f"it needs {need}, and free are {free}"

    def _wait(self, job: Waiting, reason: str, detail: str) -> bool:
        if not self._tell:
            return False
        position = self._counts[job.place] = self._counts.get(job.place, 0) + 1
        self.waits[job.id] = Wait(reason=reason, position=position, detail=detail)
        return False


def _amount(name: Dimension, value: int) -> str:
    if name[0] == "cpu":
        return f"{max(value, 0) / 1000:g} cores"
    return f"{format_size(max(value, 0))} of memory"
