"""The loop that fires schedules: it looks at rows, decides what is due, and writes firings.

Every replica runs it. The row of a firing is unique for its schedule and due time and is written in
the transaction that moves the schedule on, so each due time is decided once, whoever dies when. The
job is submitted afterwards, by ``jobs.firings.submitting``, from the row.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobs.crash import crash_point
from jobs.firings import store as firing_store
from jobs.firings.references import resolve
from jobs.firings.spec import LABEL_SCHEDULE, Firing, FiringState, SkipReason
from jobs.firings.store import Live
from jobs.schedules import store
from jobs.schedules.policy import Decided, Decision, decide
from jobs.schedules.spec import Overlap, Schedule
from jobs.schedules.times import Cron, zone_of
from storage.base.clock import Clock
from storage.base.ids import JobId, ProjectId, UserId, new_id
from storage.meta.database import Database, Tx

log = logging.getLogger(__name__)

#: Schedules that are decided in one transaction.
_AT_ONCE = 200

#: Asks a job to end: its project and id.
Cancel = Callable[[ProjectId, JobId], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticker:
    """Decides what is due, and whose turn has come."""

    database: Database
    clock: Clock
    cancel: Cancel
    submits: threading.Event  #: wakes who submits
    idle: timedelta = timedelta(seconds=1)
    wake: threading.Event = field(default_factory=threading.Event)  #: a schedule was changed

    def tick(self) -> int:
        """What was done; waits for the next due time if that comes before the next tick would."""
        done = self._release()
        with self.database.read() as tx:
            next_at = store.next_at(tx)
        now = self.clock.now()
        if next_at is None or next_at > now + self.idle:
            return done
        if next_at > now:
            self.clock.wait(self.wake, next_at - now)
        return done + self._fire()

    def _fire(self) -> int:
        """Decide about one batch of schedules that are due; how many."""
        now = self.clock.now()
        with self.database.transaction() as tx:
            due = store.due(tx, now=now, most=_AT_ONCE)
            live = _by_source(_living(tx, due))
            fired: list[Firing] = []
            advanced: list[Schedule] = []
            for schedule in due:
                decided = self._decide(tx, schedule, live.get(schedule.id, []), now)
                advanced.append(replace(schedule, next_due=decided.next_due))
                fired += [firing_of(schedule, each, at=now) for each in decided.decisions]
            firing_store.add(tx, fired)
            store.advance(tx, advanced)
        if any(firing.state is FiringState.PENDING for firing in fired):
            crash_point("after_firing_rows")
            self.submits.set()
        return len(due)

    def _decide(self, tx: Tx, schedule: Schedule, live: Sequence[Live], now: datetime) -> Decided:
        waiting = [each.firing_id for each in live if each.state is FiringState.WAITING]
        busy = len(waiting) < len(live)
        decided = decide(schedule, now=now, busy=busy, waiting=bool(waiting))
        if decided.replaced:
            firing_store.skip(tx, waiting, SkipReason.OVERLAP, now=now)
        return decided

    def _release(self) -> int:
        """Let firings go whose turn has come; cancel what others were told to replace."""
        with self.database.read() as tx:
            sources = firing_store.waiting_sources(tx)
            if not sources:
                return 0
            live = firing_store.live(tx, sources)
        self._cancel_old(live)
        with self.database.transaction() as tx:
            schedules = {each.id: each for each in store.by_id(tx, sources)}
            found = firing_store.live(tx, list(schedules))
            firing_store.mark_ended(tx, found)
            turns = [_next(each) for each in _by_source(found).values()]
            released = [firing_id for firing_id in turns if firing_id is not None]
            done = firing_store.release(tx, released, now=self.clock.now())
        if done:
            self.submits.set()
        return done

    def _cancel_old(self, live: Iterable[Live]) -> None:
        with self.database.read() as tx:
            ids = {each.source_id for each in live}
            old = {each.id: each for each in store.read_by_id(tx, sorted(ids))}
        for each in live:
            schedule = old.get(each.source_id)
            if schedule is None or schedule.overlap is not Overlap.CANCEL_OLD:
                continue
            if each.job_id is not None and not each.ended and not each.cancelling:
                self.cancel(schedule.project_id, each.job_id)
                log.info("old job cancelled", extra={"job": each.job_id, "schedule": schedule.id})


def firing_of(
    schedule: Schedule, decision: Decision, *, at: datetime, by: UserId | None = None
) -> Firing:
    """The firing of a due time, its references replaced. ``by``: somebody asked for it."""
    is_open = decision.state in (FiringState.PENDING, FiringState.WAITING)
    return Firing(
        id=new_id("fir", at),
        project_id=schedule.project_id,
        source_id=schedule.id,
        cause=("run " if by else "due ") + decision.due.isoformat(),
        due_at=decision.due,
        state=decision.state,
        user_id=by or schedule.user_id,
        created_at=at,
        document=resolve(schedule.document, values_at(schedule, decision.due)) if is_open else None,
        labels={LABEL_SCHEDULE: schedule.name},
        reason=decision.reason,
        until=decision.until,
        exclusive=schedule.overlap is not Overlap.ALLOW,
    )


def values_at(schedule: Schedule, due: datetime) -> Mapping[str, object]:
    """What references mean at a due time; days are those of the schedule's own zone."""
    zone = schedule.rule.zone if isinstance(schedule.rule, Cron) else "UTC"
    return {"due_at": due, "due_date": due.astimezone(zone_of(zone)).date()}


def _living(tx: Tx, due: Sequence[Schedule]) -> list[Live]:
    """What runs or waits of those schedules that care."""
    careful = [schedule.id for schedule in due if schedule.overlap is not Overlap.ALLOW]
    found = firing_store.live(tx, careful)
    firing_store.mark_ended(tx, found)
    return [each for each in found if not each.ended]


def _by_source(live: Iterable[Live]) -> dict[str, list[Live]]:
    found: dict[str, list[Live]] = {}
    for each in live:
        if not each.ended:
            found.setdefault(each.source_id, []).append(each)
    return found


def _next(live: Sequence[Live]) -> str | None:
    """The firing whose turn it is: the first that waits, if nothing else is there."""
    if any(each.state is not FiringState.WAITING for each in live):
        return None
    return live[0].firing_id
