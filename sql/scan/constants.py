"""Exact values of expressions that have no column in them: literals, casts, date arithmetic.

What is folded here is folded as the engines do it (ANSI mode, session zone UTC). Whatever might
come out differently on one of them (string to number, float32, overflow, ``now()``) stays unknown,
which is None throughout: an unknown value never prunes.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from typing import Any

from sqlglot import exp


class Kind(StrEnum):
    """What a constant compares with; DATE counts days and TIMESTAMP microseconds from 1970."""

    NULL = "null"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DOUBLE = "double"
    STRING = "string"
    DATE = "date"
    TIMESTAMP = "timestamp"
    INTERVAL = "interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A calendar interval; months are kept apart because their length varies."""

    months: int = 0
    days: int = 0
    micros: int = 0

    def times(self, factor: int) -> Span:
        """The interval ``factor`` times over."""
        return Span(
            months=self.months * factor, days=self.days * factor, micros=self.micros * factor
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A value that lies within ``low`` and ``high``; both are the same where it is exact.

    They are Fractions for BOOLEAN, INTEGER, DECIMAL, DATE and TIMESTAMP, floats for DOUBLE, str
    for STRING, a ``Span`` for INTERVAL and None for NULL.
    """

    kind: Kind
    low: Any = None
    high: Any = None

    @property
    def exact(self) -> bool:
        """Whether the value is known to the last digit."""
        return bool(self.low == self.high)


NULL = Constant(kind=Kind.NULL)
DAY_MICROS = 86_400_000_000

_EPOCH = date(1970, 1, 1)
_INT_LIMIT = 2**31  # a literal or a result beyond it may be a bigint, or an overflow
_DIGITS = 30  # decimals of more digits may be rounded at the limit of 38
_DEPTH = 40
_INTEGER = re.compile(r"\d+")
_DECIMAL = re.compile(r"\d*\.\d*")
_FLOAT = re.compile(r"(\d+\.?\d*|\.\d+)[eE][+-]?\d+")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)?)?"
)
_INTERVAL = re.compile(r"\s*([+-]?\d{1,9})\s*")
_UNITS = {
    "YEAR": Span(months=12),
    "QUARTER": Span(months=3),
    "MONTH": Span(months=1),
    "WEEK": Span(days=7),
    "DAY": Span(days=1),
    "HOUR": Span(micros=3_600_000_000),
    "MINUTE": Span(micros=60_000_000),
    "SECOND": Span(micros=1_000_000),
    "MILLISECOND": Span(micros=1_000),
    "MICROSECOND": Span(micros=1),
}


def exactly(kind: Kind, value: Any) -> Constant:
    """A constant known to the last digit."""
    return Constant(kind=kind, low=value, high=value)


def days_of(text: str) -> int | None:
    """Days since 1970 of ``YYYY-MM-DD``, None for every other text."""
    match = _DATE.fullmatch(text)
    try:
        return (date(*map(int, match.groups())) - _EPOCH).days if match else None
    except ValueError:
        return None


def micros_of(text: str) -> int | None:
    """Microseconds since 1970 of an ISO text, in UTC if it has no offset; None if it is none."""
    match = _MOMENT.fullmatch(text)
    days = days_of(match[1]) if match else None
    if match is None or days is None:
        return None
    if match[2] is None:
        return days * DAY_MICROS
    hour, minute, second = int(match[2]), int(match[3]), int(match[4])
    if hour > 23 or minute > 59 or second > 59:
        return None
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + int((match[5] or "").ljust(6, "0"))
    if match[6] and match[6] != "Z":
        sign = -1 if match[6][0] == "-" else 1
        micros -= sign * (int(match[6][1:3]) * 60 + int(match[6][4:6])) * 60_000_000
    return days * DAY_MICROS + micros


def fold(node: exp.Expr | None, depth: int = 0) -> Constant | None:
    """The value of ``node`` when it has no column and its meaning is certain, else None."""
    handler = _HANDLERS.get(type(node)) if depth < _DEPTH else None
    return handler(node, depth + 1) if handler else None


def _literal(node: Any, depth: int) -> Constant | None:
    text = str(node.this)
    if node.is_string:
        return exactly(Kind.STRING, text)
    if len(text) > _DIGITS:
        return None
    if _INTEGER.fullmatch(text):
        return exactly(Kind.INTEGER, Fraction(int(text)))
    if _DECIMAL.fullmatch(text) and text != ".":
        return exactly(Kind.DECIMAL, Fraction(text if text[0] != "." else "0" + text))
    if _FLOAT.fullmatch(text):
        return exactly(Kind.DOUBLE, float(text))
    return None


def _boolean(node: Any, depth: int) -> Constant | None:
    return exactly(Kind.BOOLEAN, Fraction(1 if node.this else 0))


def _null(node: Any, depth: int) -> Constant | None:
    return NULL


def _inner(node: Any, depth: int) -> Constant | None:
    return fold(node.this, depth)


def _negate(node: Any, depth: int) -> Constant | None:
    value = fold(node.this, depth)
    if value is None or value.kind is Kind.NULL:
        return value
    if value.kind in (Kind.INTEGER, Kind.DECIMAL, Kind.DOUBLE):
        return Constant(kind=value.kind, low=-value.high, high=-value.low)
    if value.kind is Kind.INTERVAL:
        return exactly(Kind.INTERVAL, value.low.times(-1))
    return None


def _concat(node: Any, depth: int) -> Constant | None:
    parts = node.expressions if isinstance(node, exp.Concat) else [node.this, node.expression]
    values = [fold(part, depth) for part in parts]
    if all(value is not None and value.kind is Kind.STRING for value in values):
        return exactly(Kind.STRING, "".join(value.low for value in values if value))
    return None


def _arithmetic(node: Any, depth: int) -> Constant | None:
    left, right = fold(node.this, depth), fold(node.expression, depth)
    if left is None or right is None:
        return None
    sign = -1 if isinstance(node, exp.Sub) else 1
    if right.kind is Kind.INTERVAL and not isinstance(node, exp.Mul):
        return _shift(left, right.low.times(sign))
    if left.kind is Kind.INTERVAL and isinstance(node, exp.Add):
        return _shift(right, left.low)
    if left.kind is Kind.DATE and right.kind is Kind.INTEGER and not isinstance(node, exp.Mul):
        return _shift(left, Span(days=sign * int(right.low)))
    numbers = (Kind.INTEGER, Kind.DECIMAL)
    if left.kind not in numbers or right.kind not in numbers or not (left.exact and right.exact):
        return None
    result = left.low * right.low if isinstance(node, exp.Mul) else left.low + sign * right.low
    if left.kind is right.kind is Kind.INTEGER:
        return exactly(Kind.INTEGER, result) if abs(result) < _INT_LIMIT else None
    digits = len(str(abs(result.numerator))) + len(str(result.denominator))
    return exactly(Kind.DECIMAL, result) if digits <= _DIGITS else None


def _shift(moment: Constant, span: Span) -> Constant | None:
    """``moment`` moved by ``span``; a day past the end of its month becomes the month's last."""
    if moment.kind is Kind.INTERVAL:
        merged = (moment.low.months + span.months, moment.low.days + span.days)
        micros = moment.low.micros + span.micros
        return exactly(Kind.INTERVAL, Span(months=merged[0], days=merged[1], micros=micros))
    if moment.kind is Kind.STRING or (moment.kind is Kind.DATE and span.micros):
        return None
    if moment.kind not in (Kind.DATE, Kind.TIMESTAMP):
        return None
    unit = 1 if moment.kind is Kind.DATE else DAY_MICROS
    days, rest = divmod(int(moment.low), unit)
    try:
        day = _add_months(_EPOCH + timedelta(days=days), span.months) + timedelta(days=span.days)
    except (OverflowError, ValueError):
        return None
    return exactly(moment.kind, Fraction((day - _EPOCH).days * unit + rest + span.micros))


def _add_months(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def _date_add(node: Any, depth: int) -> Constant | None:
    moment, amount = fold(node.this, depth), fold(node.expression, depth)
    if moment is None or amount is None or amount.kind is not Kind.INTEGER:
        return None
    if isinstance(node, exp.AddMonths):
        span = Span(months=int(amount.low))
    else:
        if str(node.args.get("unit") or "DAY").upper() != "DAY":
            return None
        span = Span(days=int(amount.low))
    return _shift(moment, span) if moment.kind is Kind.DATE else None


def _interval(node: Any, depth: int) -> Constant | None:
    unit = node.args.get("unit")
    value = fold(node.this, depth)
    if not isinstance(unit, exp.Var) or value is None:
        return None
    if value.kind is Kind.STRING:
        match = _INTERVAL.fullmatch(value.low)
        count = int(match[1]) if match else None
    else:
        count = int(value.low) if value.kind is Kind.INTEGER else None
    span = _UNITS.get(unit.name.upper().removesuffix("S"))
    return None if span is None or count is None else exactly(Kind.INTERVAL, span.times(count))


def _to_date(node: Any, depth: int) -> Constant | None:
    if node.args.get("format") is not None:
        return None
    value = fold(node.this, depth)
    return None if value is None else _cast_date(value)


def _cast(node: Any, depth: int) -> Constant | None:
    value = fold(node.this, depth)
    if value is None or value.kind is Kind.NULL:
        return value
    target = node.to.this
    if target in _INTEGERS:
        return value if value.kind is Kind.INTEGER and _fits(value.low, target) else None
    if target in exp.DataType.TEXT_TYPES:
        plain = target is exp.DType.TEXT and value.kind is Kind.STRING
        return value if plain else None
    if target == exp.DType.DATE:
        return _cast_date(value)
    if target in _MOMENTS:
        return _cast_moment(value)
    if target == exp.DType.DECIMAL:
        return _cast_decimal(value, node.to)
    if target == exp.DType.DOUBLE and value.kind in (Kind.INTEGER, Kind.DECIMAL) and value.exact:
        number = float(value.low)
        if Fraction(number) == value.low:
            return exactly(Kind.DOUBLE, number)
        low, high = math.nextafter(number, -math.inf), math.nextafter(number, math.inf)
        return Constant(kind=Kind.DOUBLE, low=low, high=high)
    return value if target == exp.DType.DOUBLE and value.kind is Kind.DOUBLE else None


def _cast_date(value: Constant) -> Constant | None:
    if value.kind is Kind.DATE or value.kind is Kind.NULL:
        return value
    if value.kind is Kind.TIMESTAMP:
        return exactly(Kind.DATE, Fraction(value.low // DAY_MICROS))
    days = days_of(value.low) if value.kind is Kind.STRING else None
    return None if days is None else exactly(Kind.DATE, Fraction(days))


def _cast_moment(value: Constant) -> Constant | None:
    if value.kind is Kind.TIMESTAMP:
        return value
    if value.kind is Kind.DATE:
        return exactly(Kind.TIMESTAMP, value.low * DAY_MICROS)
    micros = micros_of(value.low) if value.kind is Kind.STRING else None
    return None if micros is None else exactly(Kind.TIMESTAMP, Fraction(micros))


def _cast_decimal(value: Constant, to: exp.DataType) -> Constant | None:
    """Only casts that lose no digit, and those of canonical number texts."""
    sizes = [int(param.name) for param in to.expressions]
    precision, scale = [*sizes, 0][:2] if sizes else (10, 0)
    if value.kind is Kind.STRING and re.fullmatch(r"-?\d{1,19}(\.\d{1,19})?", value.low):
        value = exactly(Kind.DECIMAL, Fraction(value.low))
    if value.kind not in (Kind.INTEGER, Kind.DECIMAL) or not value.exact:
        return None
    scaled = value.low * 10**scale
    if scaled.denominator != 1 or abs(scaled) >= 10**precision:
        return None
    return exactly(Kind.DECIMAL, value.low)


_INTEGERS = {
    exp.DType.TINYINT: 8,
    exp.DType.SMALLINT: 16,
    exp.DType.INT: 32,
    exp.DType.BIGINT: 64,
}
_MOMENTS = {exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPNTZ}


def _fits(number: Fraction, target: Any) -> bool:
    limit = 2 ** (_INTEGERS[target] - 1)
    return bool(-limit <= number < limit)


_HANDLERS: dict[type, Callable[[Any, int], Constant | None]] = {
    exp.Literal: _literal,
    exp.Boolean: _boolean,
    exp.Null: _null,
    exp.Paren: _inner,
    exp.Alias: _inner,
    exp.Neg: _negate,
    exp.Add: _arithmetic,
    exp.Sub: _arithmetic,
    exp.Mul: _arithmetic,
    exp.Concat: _concat,
    exp.DPipe: _concat,
    exp.Interval: _interval,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.TsOrDsAdd: _date_add,
    exp.AddMonths: _date_add,
    exp.TsOrDsToDate: _to_date,
}
