"""What a schedule is: a rule, a job document, and what to do when things do not go by the rule."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.documents import Document
from jobs.schedules.errors import ScheduleInvalidError
from jobs.schedules.times import Rule, check_rule, jitter_of, next_after
from storage.base.ids import ProjectId, UserId

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
MOST_MISSED = 1000
MOST_JITTER = timedelta(hours=1)
_TICK = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)


class Missed(StrEnum):
    """What becomes of due times at which nobody was there."""

    SKIP = "skip"
    LATEST = "latest"  #: the newest is made up for, unless the next one is due already
    ALL = "all"  #: the newest ``missed_most`` are


class Overlap(StrEnum):
    """What becomes of a due time while the job of an earlier one has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"  #: one waits for the end, further ones are skipped
    CANCEL_OLD = "cancel_old"  #: the newest waits until the old one is cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule at one version. ``user_id`` is who wrote it last: jobs run in that name.

    ``next_due`` is the first due time that nothing was decided about yet; None: there is none.
    """

    id: str  #: sch_…
    project_id: ProjectId
    name: str
    rule: Rule
    document: Document
    user_id: UserId
    created_at: datetime
    updated_at: datetime
    missed: Missed = Missed.LATEST
    missed_most: int = 1  #: of ``all``
    overlap: Overlap = Overlap.ALLOW
    jitter: timedelta = timedelta(0)
    start_at: datetime | None = None  #: nothing is due before
    end_at: datetime | None = None  #: nothing is due then or later
    paused: bool = False
    version: int = 1
    next_due: datetime | None = None

    @property
    def next_at(self) -> datetime | None:
        """When it is fired next: ``next_due`` and its jitter; None while paused or at the end."""
        due = self.next_due
        return None if due is None or self.paused else due + self.jitter_at(due)

    def due_after(self, moment: datetime) -> datetime | None:
        """The first due time after ``moment`` within the bounds of the schedule."""
        if self.start_at is not None and self.start_at > moment:
            moment = self.start_at - _TICK
        due = next_after(self.rule, moment)
        return None if due is None or (self.end_at and due >= self.end_at) else due

    def jitter_at(self, due: datetime) -> timedelta:
        """How much later than ``due`` it is fired: always before the due time that follows."""
        if not self.jitter:
            return timedelta(0)
        following = next_after(self.rule, due)
        most = self.jitter if following is None else min(self.jitter, following - due)
        return jitter_of(self.id, due, max(most - _MILLISECOND, timedelta(0)))


def validated(schedule: Schedule, *, now: datetime) -> Schedule:
    """``schedule`` itself; raises ``ScheduleInvalidError`` with the name of the field."""
    bounded(schedule)
    start, end = schedule.start_at, schedule.end_at
    if start is not None and end is not None and start >= end:
        raise _invalid("end", "the schedule ends before it starts", None)
    after = now if start is None or start <= now else start - _TICK
    check_rule(schedule.rule, after=after)
    if schedule.due_after(now) is None:
        raise _invalid("end", "nothing is due before the end", None)
    return schedule


def bounded(schedule: Schedule) -> Schedule:
    """As ``validated``, of all but when it is due."""
    if not _NAME.fullmatch(schedule.name):
        raise _invalid(
            "name",
            f"{schedule.name!r} cannot name a schedule",
            "start with a letter; then letters, digits, - and _, at most 63, in lower case",
        )
    if not 1 <= schedule.missed_most <= MOST_MISSED:
        raise _invalid("missed_most", f"at most {MOST_MISSED} missed runs are made up for", None)
    if not timedelta(0) <= schedule.jitter <= MOST_JITTER:
        raise _invalid("jitter", "jitter is from 0s to 1h", None)
    return schedule


def _invalid(name: str, message: str, hint: str | None) -> ScheduleInvalidError:
    return ScheduleInvalidError(message, hint=hint, field=name)
