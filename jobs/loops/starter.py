"""Starts what waits when there is room, on this replica."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from jobs.execution.execution import Execution
from jobs.execution.parts import Parts
from jobs.execution.workers import Lane, Workers, lane_of
from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind
from jobs.queues.admission import start_waiting
from jobs.queues.demand import Choice, Place
from jobs.queues.heads import MOST, Line, heads, line_of
from jobs.queues.ledger import Ledger
from jobs.queues.policy import CAPACITY, choose
from jobs.store.jobs import load_plan
from jobs.store.rows import jobs
from storage.meta.database import Tx

log = logging.getLogger(__name__)

_AT_ONCE = 32  # jobs that are claimed in one transaction
_EACH = (2, 64)  # of a line that are looked at: the fewer, the more lines there are


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What was seen of those that wait."""

    choice: Choice
    places: Mapping[str, Place]  #: by job
    lines: int
    last: Line


@dataclass(slots=True, kw_only=True)
class Starter:
    """Level-triggered: looks at rows; a wake-up only makes it look sooner."""

    parts: Parts
    workers: Workers
    ledger: Ledger
    others_wait: bool = field(default=False)  #: somebody waited when last looked, here at least
    _each: int = field(default=_EACH[1])
    _after: Line = field(default_factory=Line)

    def tick(self) -> int:
        """Claim and start what may start; how many."""
        self.others_wait = False  # before the look: a submit may set it meanwhile
        seats = {lane: self.workers.take_seats(lane, _AT_ONCE) for lane in Lane}
        executions: list[Execution] = []
        try:
            if any(seats.values()):
                executions = self._claim(seats)
        finally:
            taken = Counter(lane_of(execution.job.kind) for execution in executions)
            for lane, count in seats.items():
                self.workers.leave_seats(lane, count - taken[lane])
        for execution in executions:
            self.workers.start(execution)
            self.parts.changes.notify(execution.job.id)
        return len(executions)

    def _claim(self, seats: Mapping[Lane, int]) -> list[Execution]:
        """Look without any lock, and once more with those of the queues where some may start."""
        now = self.parts.clock.now()
        with self.parts.database.read() as tx:
            seen = self._look(tx, seats, now)
        if seen is None:
            return []
        self.others_wait = True
        self._turn(seen)
        if any(wait.reason == CAPACITY for wait in seen.choice.waits.values()):
            self.parts.pool.make_room()
        if not seen.choice.start:
            return []

        def look(tx: Tx) -> Choice:
            again = self._look(tx, seats, now)
            return Choice(start=(), waits={}) if again is None else again.choice

        with self.parts.database.transaction() as tx:
            claimed = start_waiting(
                self.ledger,
                tx,
                {seen.places[job_id] for job_id in seen.choice.start[:_AT_ONCE]},
                look,
                most=_AT_ONCE,
                claim=lambda job: self._claimed(job, now),
            )
            return [self._execution(tx, job) for job in claimed]

    def _look(self, tx: Tx, seats: Mapping[Lane, int], now: datetime) -> _Look | None:
        found = heads(tx, now=now, each=self._each, after=self._after)
        if not found:
            return None
        room = self.ledger.room(tx, {job.place for job in found}, seats=seats)
        known = tuple(job for job in found if job.place in room.queues)
        return _Look(
            choice=choose(known, room=room, now=now),
            places={job.id: job.place for job in known},
            lines=len({line_of(job) for job in found}),
            last=line_of(found[-1]),
        )

    def _turn(self, seen: _Look) -> None:
        """Look at all lines, at fewer jobs of each; what is too many even so comes by turns."""
        least, most = _EACH
        self._each = min(max(MOST // (seen.lines * 2), least), most)
        self._after = seen.last if seen.lines * least * 2 > MOST else Line()

    def _claimed(self, job: Job, now: datetime) -> Claimed:
        until = now + self.parts.settings.lease_of(job.kind)
        return Claimed(at=now, owner=self.parts.replica, lease_until=until)

    def _execution(self, tx: Tx, job: Job) -> Execution:
        plan = load_plan(tx, job.id) if job.kind is JobKind.STATEMENT else None
        row = tx.execute(select(jobs.c.timings, jobs.c.usage).where(jobs.c.id == job.id)).one()
        timings = dict(row.timings or {})
        prepare = timings.get("prepare", 0.0)
        waited = (self.parts.clock.now() - job.created_at).total_seconds() * 1000
        return Execution(
            job,
            plan,
            clock=self.parts.clock,
            timings={"prepare": prepare, "queue": round(max(waited - prepare, 0.0), 3)},
            used_before=row.usage,
        )
