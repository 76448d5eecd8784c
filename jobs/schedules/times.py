"""When rules are due. Pure: no clock.

APScheduler's cron trigger walks the calendar, here in wall-clock time without a zone, because its
own way through changes of daylight saving time visits times that do not exist. What becomes of such
times is decided here, by whether the rule names its hours:

* Hours are named (``30 2 * * *``): each named time of a day is due once. One that does not exist,
  as the clock is put forward, is due at the first moment after the gap; one that exists twice, as
  the clock is put back, is due the first time.
* Hours begin with ``*`` (``*/15 * * * *``): the rule follows the time that passes. Nothing is due
  for a gap, and what the clock shows twice is due twice.

Moments are aware UTC; the finest unit of cron is a minute, of intervals a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from jobs.schedules.cron import CronFields, parse_cron
from jobs.schedules.errors import ScheduleInvalidError

#: Nothing is due from here on. The rarest rule there is, 29 February on a given weekday, is due
#: every 28 years, and once after 40.
END = datetime(2150, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """A cron expression on the clocks of a zone of the IANA database."""

    expression: str
    zone: str = "UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Every so often, counted from ``anchor``: the time that passes, whatever clocks show."""

    every: timedelta
    anchor: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """One moment."""

    at: datetime


Rule = Cron | Interval | Once


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The newest due times of a span, oldest first, and whether there were older ones."""

    times: tuple[datetime, ...]
    more: bool


def check_rule(rule: Rule, *, after: datetime) -> None:
    """Raise ``ScheduleInvalidError`` for a rule that cannot be read or is never due again."""
    if isinstance(rule, Interval) and rule.every < timedelta(seconds=1):
        raise ScheduleInvalidError(
            "an interval is at least 1s", hint="write it like 30s, 15m or 6h", field="every"
        )
    if next_after(rule, after) is None:
        raise ScheduleInvalidError(
            f"the rule is never due after {after:%Y-%m-%d %H:%M} UTC",
            hint="a time in the past, or a day that no month has?",
            field="rule",
        )


def next_after(rule: Rule, moment: datetime) -> datetime | None:
    """The first due time after ``moment``; None if there is none before ``END``."""
    if moment >= END:
        return None
    match rule:
        case Once(at=at):
            return at if moment < at < END else None
        case Interval(every=every, anchor=anchor):
            steps = (moment - anchor) // every + 1
            due = anchor + max(steps, 0) * every
            return due if due < END else None
        case Cron():
            plan = _plan(rule)
            found = plan.follow(moment) if plan.fields.every_hour else plan.named(moment)
            return None if found is None else found.astimezone(UTC)


def due_between(rule: Rule, start: datetime, end: datetime, most: int) -> Due:
    """The newest ``most`` due times in ``[start, end]``, without a walk over all of a long span."""
    span = timedelta(minutes=2)
    while True:
        since = max(start, end - span)
        found = list(_between(rule, since, end))
        if len(found) > most or since == start:
            return Due(times=tuple(found[-most:]), more=len(found) > most)
        span *= 8 if len(found) < most // 8 else 2


def _between(rule: Rule, start: datetime, end: datetime) -> Iterator[datetime]:
    moment = next_after(rule, start - _TICK)
    while moment is not None and moment <= end:
        yield moment
        moment = next_after(rule, moment)


def jitter_of(seed: str, due: datetime, most: timedelta) -> timedelta:
    """From zero to ``most``, in milliseconds, always the same for a seed and a due time."""
    digest = hashlib.sha256(f"{seed}@{due.isoformat()}".encode()).digest()
    return int.from_bytes(digest[:8]) % (most // _MILLISECOND + 1) * _MILLISECOND


def zone_of(name: str) -> ZoneInfo:
    """The zone. Raises ``ScheduleInvalidError`` with an example."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # unknown, no path, a folder of the database
        raise ScheduleInvalidError(
            f"there is no time zone {name!r}",
            hint="use a name of the IANA database, as Europe/Berlin or UTC",
            field="timezone",
        ) from error


@dataclass(frozen=True, slots=True)
class _Plan:
    """A cron rule made ready. ``walks`` know no zone: they take wall-clock time for UTC."""

    fields: CronFields
    zone: ZoneInfo
    walks: tuple[CronTrigger, ...]

    def named(self, moment: datetime) -> datetime | None:
        """For a rule that names its hours: see the module."""
        wall = self._wall(moment)
        while (found := self._next_wall(wall)) is not None:
            due = self._first_moment(found)
            if due > moment:
                return due
            wall = found
        return None

    def follow(self, moment: datetime) -> datetime | None:
        """For a rule that follows the time that passes.

        Goes by spans of a day in which the clock is put forward or back once at most.
        """
        while (found := self._next_wall(self._wall(moment))) is not None:
            due = found - self._offset(moment)
            change = self._change(moment, moment + _DAY)
            if due <= (moment + _DAY if change is None else change - _TICK):
                return due
            if change is None:
                # Nothing fits the clock before ``found``, and no zone is two days off UTC.
                moment = max(moment + _DAY, found - 2 * _DAY)
            elif self._fits(change):
                return change
            else:
                moment = change
        return None

    def _fits(self, moment: datetime) -> bool:
        """Whether it is due at this very moment."""
        wall = self._wall(moment)
        return self._next_wall(wall - _TICK) == wall

    def _change(self, start: datetime, end: datetime) -> datetime | None:
        """The first whole second at which the offset is that of ``end``, if that of ``start`` is
        another."""
        before = self._offset(start)
        if self._offset(end) == before:
            return None
        while end - start > timedelta(seconds=1):
            middle = start + (end - start) / 2
            if self._offset(middle) == before:
                start = middle
            else:
                end = middle
        return end.replace(microsecond=0)

    def _offset(self, moment: datetime) -> timedelta:
        offset = moment.astimezone(self.zone).utcoffset()
        assert offset is not None
        return offset

    def _wall(self, moment: datetime) -> datetime:
        """What the clock shows, as if it were UTC."""
        return moment.astimezone(self.zone).replace(tzinfo=UTC, fold=0)

    def _first_moment(self, wall: datetime) -> datetime:
        """When the clock first shows ``wall``, or would show it: then the end of the gap."""
        local = wall.replace(tzinfo=self.zone, fold=0)
        moment = local.astimezone(UTC)
        if moment.astimezone(self.zone).replace(tzinfo=UTC, fold=0) == wall:
            return moment
        # ``fold`` 0 takes the offset before the gap and lands behind it, ``fold`` 1 before it.
        change = self._change(local.replace(fold=1).astimezone(UTC), moment)
        return moment if change is None else change

    def _next_wall(self, wall: datetime) -> datetime | None:
        """The first time after ``wall`` that fits."""
        found = [walk.get_next_fire_time(None, wall + _TICK) for walk in self.walks]
        return min((time for time in found if time is not None), default=None)


@lru_cache(maxsize=4096)
def _plan(rule: Cron) -> _Plan:
    fields = parse_cron(rule.expression)
    return _Plan(fields, zone_of(rule.zone), tuple(_walks(fields)))


def _walks(fields: CronFields) -> Iterator[CronTrigger]:
    """The calendar that the fields describe; two of them where a day may fit either field."""
    by_date = [str(day) for day in sorted(fields.days or (), key=str)]
    by_place = [f"{place} {day}" for place, day in sorted(fields.positions)]
    weekdays = None if fields.weekdays is None else _names(fields.weekdays)
    if fields.any_weekday:
        yield _trigger(fields, day=",".join(by_date) or "*")
        return
    days = [*(by_date if fields.days is not None else ()), *by_place]
    if days:
        yield _trigger(fields, day=",".join(days))
    if weekdays is not None:
        yield _trigger(fields, weekday=weekdays)


def _trigger(fields: CronFields, *, day: str = "*", weekday: str = "*") -> CronTrigger:
    return CronTrigger(
        month=_list(fields.months),
        day=day,
        day_of_week=weekday,
        hour=_list(fields.hours),
        minute=_list(fields.minutes),
        second="0",
        end_date=END,
        timezone=UTC,
    )


def _list(values: frozenset[int] | None) -> str:
    return "*" if values is None else ",".join(str(value) for value in sorted(values))


def _names(weekdays: frozenset[int]) -> str:
    """By name: the numbers of APScheduler start on Monday, those of cron on Sunday."""
    return ",".join(_WEEKDAYS[day] for day in sorted(weekdays))
