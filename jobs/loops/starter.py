"""Starts what waits when there is room, on this replica."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.execution.execution import Execution
from jobs.execution.lanes import LANES, Lane, lane_of
from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import JobKind
from jobs.queues.claims import Started, start_waiting
from jobs.queues.money import Purse
from jobs.queues.rounds import Look, Rounds
from jobs.store.jobs import load_plans
from sql.statement import PreparedStatement

log = logging.getLogger(__name__)

_AT_ONCE = 32  # jobs that are claimed in one transaction
_ROOM_EVERY = timedelta(seconds=5)


@dataclass(slots=True, kw_only=True)
class Starter:
    """Level-triggered: looks at rows; a wake-up only makes it look sooner."""

    parts: Parts
    workers: Workers
    rounds: Rounds
    purse: Purse
    others_wait: bool = field(default=False)  #: somebody waited when last looked, here at least
    _room_made: float = field(default=float("-inf"))

    def tick(self) -> int:
        """Claim and start what may start; how many."""
        self.others_wait = False  # before the look: a submit may set it meanwhile
        seats = {lane: self.workers.take_seats(lane, _AT_ONCE) for lane in LANES}
        executions: list[Execution] = []
        try:
            if any(seats.values()):
                executions = self._claim(seats)
        finally:
            taken = Counter(
                lane_of(execution.job.kind, execution.job.depth) for execution in executions
            )
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
            seen = self.rounds.look(tx, seats=seats, now=now, most=_AT_ONCE)
        if not seen.seen:
            return []
        self.others_wait = True
        if seen.wants_memory:
            self._make_room()
        claimed = self._start(seen, seats, now) if seen.start else []
        self.rounds.turn(seen)
        return claimed

    def _start(self, seen: Look, seats: Mapping[Lane, int], now: datetime) -> list[Execution]:
        with self.parts.database.transaction() as tx:
            started = start_waiting(
                self.rounds.ledger,
                tx,
                seen.start,
                now=now,
                claim=lambda job, cluster: self._claimed(job, cluster, now),
                pay=lambda tx, job: self.purse.pay_late(tx, job, now=now),
                seats=seats,
            )
            statements = [each.job.id for each in started if each.job.kind is JobKind.STATEMENT]
            plans = load_plans(tx, statements)
        return [self._execution(each, plans.get(each.job.id)) for each in started]

    def _make_room(self) -> None:
        """Let an idle engine go, and wait for its end before another has to."""
        now = self.parts.clock.monotonic()
        if now - self._room_made >= _ROOM_EVERY.total_seconds():
            self._room_made = now
            self.parts.pool.make_room()

    def _claimed(self, job: Job, cluster: str | None, now: datetime) -> Claimed:
        until = now + self.parts.settings.lease_of(job.kind)
        return Claimed(at=now, owner=self.parts.replica, lease_until=until, cluster=cluster)

    def _execution(self, started: Started, plan: PreparedStatement | None) -> Execution:
        job = started.job
        prepare = started.timings.get("prepare", 0.0)
        waited = (self.parts.clock.now() - job.created_at).total_seconds() * 1000
        return Execution(
            job,
            plan,
            clock=self.parts.clock,
            timings={"prepare": prepare, "queue": round(max(waited - prepare, 0.0), 3)},
            used_before=started.usage,
        )
