"""Starts what waits when there is room, on this replica."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from jobs.execution.execution import Execution
from jobs.execution.parts import Parts
from jobs.execution.workers import Lane, Workers, lane_of
from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind
from jobs.queues.admission import Place, places, start_waiting
from jobs.store.jobs import load_plan
from jobs.store.rows import jobs
from storage.meta.database import Tx

log = logging.getLogger(__name__)

_AT_ONCE = 32  # jobs that are claimed in one transaction


@dataclass(slots=True, kw_only=True)
class Starter:
    """Level-triggered: looks at rows; a wake-up only makes it look sooner."""

    parts: Parts
    workers: Workers
    others_wait: bool = field(default=False)  #: somebody waited when last looked, here at least
    _turn: int = field(default=0)

    def tick(self) -> int:
        """Claim and start what may start; how many. Queues take turns in being first."""
        self.others_wait = False  # before the look: a submit may set it meanwhile
        with self.parts.database.read() as tx:
            waiting = places(tx)
        self.others_wait = self.others_wait or bool(waiting)
        self._turn += 1
        started = 0
        for index in range(len(waiting)):
            started += self._start_in(waiting[(index + self._turn) % len(waiting)])
        return started

    def _start_in(self, place: Place) -> int:
        seats = {lane: self.workers.take_seats(lane, _AT_ONCE) for lane in Lane}
        executions: list[Execution] = []
        try:
            if any(seats.values()):
                executions = self._claim(place, seats)
        finally:
            taken = Counter(lane_of(execution.job.kind) for execution in executions)
            for lane, count in seats.items():
                self.workers.leave_seats(lane, count - taken[lane])
        for execution in executions:
            self.workers.start(execution)
            self.parts.changes.notify(execution.job.id)
        return len(executions)

    def _claim(self, place: Place, seats: Mapping[Lane, int]) -> list[Execution]:
        parts = self.parts
        now = parts.clock.now()
        left = Counter(seats)

        def claim(job: Job) -> Claimed | None:
            lane = lane_of(job.kind)
            if not left[lane]:
                return None
            left[lane] -= 1
            until = now + parts.settings.lease_of(job.kind)
            return Claimed(at=now, owner=parts.replica, lease_until=until)

        with parts.database.transaction() as tx:
            claimed = start_waiting(
                parts.database,
                tx,
                place,
                engine_cu=parts.settings.engine_cu,
                claim=claim,
                now=now,
            )
            return [self._execution(tx, job) for job in claimed]

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
