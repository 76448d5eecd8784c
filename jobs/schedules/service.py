"""The door to schedules: create, change, pause, look ahead and back, run now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jobs.documents import JobDocuments
from jobs.firings import store as firing_store
from jobs.firings.checking import check_held
from jobs.firings.references import SCHEDULE
from jobs.firings.spec import Firing, FiringState, SkipReason
from jobs.schedules import store
from jobs.schedules.errors import ScheduleChangedError
from jobs.schedules.firing import Ticker, firing_of
from jobs.schedules.policy import Decision
from jobs.schedules.spec import Schedule, bounded, validated
from storage.base.clock import Clock
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Database, Tx
from storage.meta.paging import Page

MOST_NEXT = 1000
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """Schedules of all projects. Methods are safe to call from any thread."""

    database: Database
    clock: Clock
    documents: JobDocuments
    ticker: Ticker

    def create(self, schedule: Schedule) -> Schedule:
        """Raises ``ScheduleInvalidError``, ``ScheduleExistsError`` and what its document's check
        raises. The first due time is after now."""
        now = self.clock.now()
        check_held(self.documents, schedule.project_id, schedule.document, SCHEDULE)
        made = validated(schedule, now=now)
        made = replace(made, next_due=made.due_after(now))
        with self.database.transaction() as tx:
            store.create(tx, made)
        self.ticker.wake.set()
        return made

    def list(self, project_id: ProjectId) -> tuple[Schedule, ...]:
        """Those of the project, by name."""
        with self.database.read() as tx:
            return store.every(tx, project_id)

    def get(self, project_id: ProjectId, name: str) -> Schedule:
        """Raises ``ScheduleMissingError``."""
        with self.database.read() as tx:
            return store.get(tx, project_id, name)

    def update(self, changed: Schedule, *, by: UserId) -> Schedule:
        """Write ``changed``, read at its version; ``by`` becomes its author.

        What is due next is counted from now if the rule, its start or its end are others. Raises
        as ``create``, and ``ScheduleChangedError``.
        """
        now = self.clock.now()
        check_held(self.documents, changed.project_id, changed.document, SCHEDULE)

        def write(stored: Schedule) -> Schedule:
            if stored.version != changed.version:
                raise ScheduleChangedError(
                    f"schedule {stored.name} is past version {changed.version}",
                    hint="read it again",
                    schedule=stored.name,
                )
            made = replace(changed, user_id=by, next_due=stored.next_due)
            if _timing(made) != _timing(stored):
                made = validated(made, now=now)
                return replace(made, next_due=made.due_after(now))
            return bounded(made)

        return self._write(changed.project_id, changed.name, write)

    def pause(self, project_id: ProjectId, name: str) -> Schedule:
        """Nothing is fired any more; what waits or is submitted this moment still comes."""
        return self._write(project_id, name, lambda stored: replace(stored, paused=True))

    def resume(self, project_id: ProjectId, name: str) -> Schedule:
        """Go on with what is due from now on; the due times of the pause are skipped."""
        now = self.clock.now()
        with self.database.transaction() as tx:
            stored = store.get(tx, project_id, name, locked=True)
            if not stored.paused:
                return stored
            resumed = replace(stored, paused=False)
            if stored.next_due is not None and stored.next_due <= now:
                resumed = replace(resumed, next_due=stored.due_after(now))
                skipped = Decision(
                    due=stored.next_due,
                    state=FiringState.SKIPPED,
                    reason=SkipReason.PAUSED,
                    until=now,
                )
                firing_store.add(tx, [firing_of(stored, skipped, at=now)])
            return self._keep(tx, stored, resumed, now)

    def delete(self, project_id: ProjectId, name: str) -> None:
        """With its firings; jobs that run go on. Raises ``ScheduleMissingError``."""
        with self.database.transaction() as tx:
            stored = store.get(tx, project_id, name, locked=True)
            store.remove(tx, stored.id)
            firing_store.remove(tx, stored.id)

    def next(self, project_id: ProjectId, name: str, count: int) -> tuple[datetime, ...]:
        """The due times to come, at most ``count``; a paused schedule has them all the same."""
        schedule = self.get(project_id, name)
        return upcoming(schedule, after=self.clock.now(), count=count)

    def firings(
        self, project_id: ProjectId, name: str, *, cursor: str | None, limit: int
    ) -> Page[Firing]:
        """What became of due times, newest first. Raises ``ScheduleMissingError``."""
        with self.database.read() as tx:
            schedule = store.get(tx, project_id, name)
            return firing_store.page(tx, schedule.id, cursor=cursor, limit=limit)

    def run(self, project_id: ProjectId, name: str, *, by: UserId) -> Firing:
        """Submit the job now, in the name of ``by``, whatever is due and whatever runs."""
        now = self.clock.now()
        with self.database.transaction() as tx:
            schedule = store.get(tx, project_id, name)
            made = firing_of(schedule, Decision(due=now, state=FiringState.PENDING), at=now, by=by)
            while not firing_store.add_one(tx, made):  # another was asked for this millisecond
                due = made.due_at + _MILLISECOND
                asked = Decision(due=due, state=FiringState.PENDING)
                made = firing_of(schedule, asked, at=now, by=by)
        self.ticker.submits.set()
        return made

    def firing(self, firing_id: str) -> Firing | None:
        """One firing as it is now."""
        with self.database.read() as tx:
            return firing_store.get(tx, firing_id)

    def _write(
        self, project_id: ProjectId, name: str, work: Callable[[Schedule], Schedule]
    ) -> Schedule:
        with self.database.transaction() as tx:
            stored = store.get(tx, project_id, name, locked=True)
            return self._keep(tx, stored, work(stored), self.clock.now())

    def _keep(self, tx: Tx, stored: Schedule, changed: Schedule, now: datetime) -> Schedule:
        if changed == stored:
            return stored
        kept = replace(changed, version=stored.version + 1, updated_at=now)
        store.change(tx, kept, seen=stored.version)
        self.ticker.wake.set()
        return kept


def upcoming(schedule: Schedule, *, after: datetime, count: int) -> tuple[datetime, ...]:
    """The due times after a moment, at most ``count`` and ``MOST_NEXT``."""
    found: list[datetime] = []
    due = schedule.due_after(after)
    while due is not None and len(found) < min(count, MOST_NEXT):
        found.append(due)
        due = schedule.due_after(due)
    return tuple(found)


def _timing(schedule: Schedule) -> tuple[object, ...]:
    return schedule.rule, schedule.start_at, schedule.end_at
