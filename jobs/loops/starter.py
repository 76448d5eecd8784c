"""Starts what waits when there is room, on this replica."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from sqlalchemy import select

from jobs.execution.execution import Execution
from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
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
        seats = self.workers.take_seats(_AT_ONCE)
        if not seats:
            return 0
        executions: list[Execution] = []
        try:
            executions = self._claim(place, seats)
        finally:
            self.workers.leave_seats(seats - len(executions))
        for execution in executions:
            self.workers.start(execution)
            self.parts.changes.notify(execution.job.id)
        return len(executions)

    def _claim(self, place: Place, seats: int) -> list[Execution]:
        parts = self.parts
        now = parts.clock.now()
        claim = Claimed(at=now, owner=parts.replica, lease_until=now + parts.settings.lease)
        with parts.database.transaction() as tx:
            claimed = start_waiting(
                parts.database,
                tx,
                place,
                room=seats,
                engine_cu=parts.settings.engine_cu,
                claim=claim,
            )
            return [self._execution(tx, job) for job in claimed]

    def _execution(self, tx: Tx, job: Job) -> Execution:
        plan = load_plan(tx, job.id)
        assert plan is not None, "a job that waits has a plan"
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
