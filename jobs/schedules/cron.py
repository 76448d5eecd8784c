"""Cron expressions: five fields, read into sets, with errors that name the field.

``minute hour day-of-month month day-of-week``. Each is ``*``, a number, a name (``jan``, ``mon``),
a range ``a-b``, a step ``*/n``, ``a/n`` or ``a-b/n``, or a list of these. Days of the week are 0 to
7, Sunday is both 0 and 7. ``L`` is the last day of the month, ``5#2`` or ``fri#2`` the second
Friday and ``5L`` or ``friL`` the last one. ``@hourly``, ``@daily``, ``@weekly``, ``@monthly`` and
``@yearly`` are understood.

As in every cron, a day must fit both day fields if one of them is ``*``, and either of them if both
name days.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jobs.schedules.errors import ScheduleInvalidError

LAST = "last"

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NUMBER = re.compile(r"[0-9]{1,3}")
_NTH = {"1": "1st", "2": "2nd", "3": "3rd", "4": "4th", "5": "5th", LAST: LAST}
_EXAMPLE = "write minute hour day month weekday, as 0 3 * * 1-5 for 3:00 from Monday to Friday"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One of the five, and what may stand in it."""

    name: str
    low: int
    high: int
    example: str
    names: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CronFields:
    """What an expression says; None: any. ``days`` may hold ``last``.

    ``positions`` are weekdays by their place in the month, such as ``("2nd", "fri")``.
    """

    minutes: frozenset[int] | None
    hours: frozenset[int] | None
    days: frozenset[int | str] | None
    months: frozenset[int] | None
    weekdays: frozenset[int] | None  #: 0 is Sunday
    positions: frozenset[tuple[str, str]]
    every_hour: bool  #: the hours begin with ``*``: the rule follows the time that passes

    @property
    def any_weekday(self) -> bool:
        """Whether the field of weekdays says nothing."""
        return self.weekdays is None and not self.positions


def parse_cron(text: str) -> CronFields:
    """The fields of an expression. Raises ``ScheduleInvalidError`` that names the field."""
    parts = _ALIASES.get(text.strip().lower(), text).lower().split()
    if len(parts) != len(_FIELDS):
        raise ScheduleInvalidError(
            f"a cron expression has 5 fields, {text.strip()!r} has {len(parts)}",
            hint=_EXAMPLE,
            field="cron",
        )
    minutes, hours, days, months, weekdays = parts
    plain, positions = _positions(weekdays)
    return CronFields(
        minutes=_numbers(_MINUTE, minutes),
        hours=_numbers(_HOUR, hours),
        days=_days(days),
        months=_numbers(_MONTH, months),
        weekdays=_weekdays(plain) if plain else None,
        positions=positions,
        every_hour=hours.startswith("*"),
    )


def _days(text: str) -> frozenset[int | str] | None:
    last = "l" in text.split(",")
    rest = ",".join(part for part in text.split(",") if part != "l")
    if not last:
        return _numbers(_DAY, text)
    found = _numbers(_DAY, rest) if rest else frozenset()
    return None if found is None else found | {LAST}


def _weekdays(text: str) -> frozenset[int] | None:
    found = _numbers(_WEEKDAY, text)
    return None if found is None else frozenset(day % 7 for day in found)


def _positions(text: str) -> tuple[str, frozenset[tuple[str, str]]]:
    """The parts that are plain weekdays, and those with a place in the month."""
    plain: list[str] = []
    positions: set[tuple[str, str]] = set()
    for part in text.split(","):
        day, mark, place = part.partition("#")
        if not mark and part.endswith("l") and len(part) > 1:
            day, mark, place = part[:-1], "l", LAST
        if not mark:
            plain.append(part)
        elif place in _NTH:
            number = _value(_WEEKDAY, day, text)
            positions.add((_NTH[place], _WEEKDAYS[number % 7]))
        else:
            raise _wrong(_WEEKDAY, text, f"{part!r} is not one of the five places in a month")
    return ",".join(plain), frozenset(positions)


def _numbers(field: Field, text: str) -> frozenset[int] | None:
    """The values of a field; None where it is ``*`` or ``?``."""
    if text in ("*", "?"):
        return None
    found: set[int] = set()
    for part in text.split(","):
        found |= _range(field, part, text)
    return frozenset(found)


def _range(field: Field, part: str, text: str) -> set[int]:
    span, slash, step_text = part.partition("/")
    step = 1
    if slash:
        if not _NUMBER.fullmatch(step_text) or int(step_text) == 0:
            raise _wrong(field, text, f"the step {step_text[:40]!r} is not a number from 1 to 999")
        step = int(step_text)
    if span == "*":
        low, high = field.low, field.high - (field is _WEEKDAY)
    else:
        first, dash, last = span.partition("-")
        low = _value(field, first, text)
        high = _value(field, last, text) if dash else (field.high if slash else low)
        if field is _WEEKDAY and slash and not dash:
            high = max(low, 6)
        if low > high:
            raise _wrong(field, text, f"the range {span} goes backwards")
    return set(range(low, high + 1, step))


def _value(field: Field, text: str, whole: str) -> int:
    if text in field.names:
        return field.names[text]
    if not _NUMBER.fullmatch(text):
        raise _wrong(
            field, whole, f"{text[:40]!r} is no number" + (" or name" if field.names else "")
        )
    value = int(text)
    if not field.low <= value <= field.high:
        raise _wrong(field, whole, f"{value} is out of bounds")
    return value


def _wrong(field: Field, text: str, problem: str) -> ScheduleInvalidError:
    names = f" or {next(iter(field.names))}…" if field.names else ""
    return ScheduleInvalidError(
        f"cron: the {field.name} {text[:80]!r} cannot be read: {problem}",
        hint=f"the {field.name} goes from {field.low} to {field.high}{names}, as {field.example}",
        field="cron",
        part=field.name,
    )


_MINUTE = Field(name="minute", low=0, high=59, example="0, */15 or 5-20/5", names={})
_HOUR = Field(name="hour", low=0, high=23, example="3, */2 or 8-18", names={})
_DAY = Field(name="day of the month", low=1, high=31, example="1, 1,15 or L (the last)", names={})
_MONTH = Field(
    name="month",
    low=1,
    high=12,
    example="1-3, jan,jul or */3",
    names={name: number + 1 for number, name in enumerate(_MONTHS)},
)
_WEEKDAY = Field(
    name="day of the week",
    low=0,
    high=7,
    example="1-5, mon,fri, fri#2 (the second) or friL (the last)",
    names={name: number for number, name in enumerate(_WEEKDAYS)},
)
_FIELDS = (_MINUTE, _HOUR, _DAY, _MONTH, _WEEKDAY)
