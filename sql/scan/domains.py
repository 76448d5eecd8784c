"""Order spaces: how the values of a column type compare, and constants as places in them.

The spaces are those of ``ColumnStats``: integers for integers, booleans, days and microseconds;
scaled integers for decimals; floats; strings. Discrete spaces have no open ends: ``x < 5`` is
``x <= 4``. A pair of types that the engines may compare differently (a number with a string, a
float with a decimal at its last digit) gives a wider range, or none at all.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np

from sql.scan.conditions import MAYBE, NEVER, Condition, Differs, Null, Range
from sql.scan.constants import DAY_MICROS, Constant, Kind, days_of, micros_of


class Space(StrEnum):
    """How values of a column compare."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    DECIMAL = "decimal"
    FLOAT = "float"
    DOUBLE = "double"
    STRING = "string"


class Operator(StrEnum):
    """The comparisons of a column with a constant."""

    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


#: What a comparison becomes under NOT, and when its sides are swapped.
NEGATED = {
    Operator.EQ: Operator.NE, Operator.NE: Operator.EQ,
    Operator.LT: Operator.GE, Operator.GE: Operator.LT,
    Operator.GT: Operator.LE, Operator.LE: Operator.GT,
}  # fmt: skip
SWAPPED = {
    Operator.EQ: Operator.EQ, Operator.NE: Operator.NE,
    Operator.LT: Operator.GT, Operator.GT: Operator.LT,
    Operator.LE: Operator.GE, Operator.GE: Operator.LE,
}  # fmt: skip

_SPACES = {
    "tinyint": Space.INTEGER, "smallint": Space.INTEGER, "int": Space.INTEGER,
    "bigint": Space.INTEGER, "boolean": Space.BOOLEAN, "date": Space.DATE,
    "timestamp": Space.TIMESTAMP, "timestamp_ntz": Space.TIMESTAMP, "float": Space.FLOAT,
    "double": Space.DOUBLE, "string": Space.STRING,
}  # fmt: skip
_DECIMAL = re.compile(r"decimal\(\s*\d+\s*(?:,\s*(\d+)\s*)?\)")
_NUMBERS = (Kind.INTEGER, Kind.DECIMAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSpace:
    """A column that may be compared; ``scale`` is that of a decimal."""

    column: str
    space: Space
    scale: int = 0


def space_of(column: str, type_name: str) -> ColumnSpace | None:
    """The space of a column by its Spark type, None where values have no order we know."""
    match = _DECIMAL.fullmatch(type_name)
    if match or type_name == "decimal":
        scale = int(match[1] or 0) if match else 0
        return ColumnSpace(column=column, space=Space.DECIMAL, scale=scale)
    space = Space.STRING if type_name.startswith("varchar") else _SPACES.get(type_name)
    return None if space is None else ColumnSpace(column=column, space=space)


def compare(target: ColumnSpace, operator: Operator, value: Constant) -> Condition:
    """The condition that the column stands in ``operator`` to ``value``."""
    if value.kind is Kind.NULL:
        return NEVER
    if target.space is Space.STRING:
        return _text(target, operator, value)
    if target.space in (Space.FLOAT, Space.DOUBLE):
        return _float(target, operator, value)
    place = _discrete(target, operator, value)
    return MAYBE if place is None else _whole(target.column, operator, *place)


def _text(target: ColumnSpace, operator: Operator, value: Constant) -> Condition:
    if value.kind is not Kind.STRING:
        return MAYBE
    text, column = value.low, target.column
    match operator:
        case Operator.EQ:
            return Range(column=column, low=text, high=text)
        case Operator.NE:
            return Differs(column=column, value=text)
        case Operator.LT:
            return Range(column=column, high=text, open_high=True)
        case Operator.LE:
            return Range(column=column, high=text)
        case Operator.GT:
            return Range(column=column, low=text + "\0")  # the least string above it
        case Operator.GE:
            return Range(column=column, low=text)


def starts_with(target: ColumnSpace, prefix: str) -> Condition:
    """The condition that a string column starts with ``prefix``."""
    if target.space is not Space.STRING or not prefix:
        return MAYBE
    last = ord(prefix[-1]) + 1
    if last > 0x10FFFF or 0xD800 <= last <= 0xDFFF:
        return Range(column=target.column, low=prefix)
    return Range(column=target.column, low=prefix, high=prefix[:-1] + chr(last), open_high=True)


def _discrete(
    target: ColumnSpace, operator: Operator, value: Constant
) -> tuple[Fraction, Fraction] | None:
    """Where ``value`` lies in a discrete space: least and greatest place that it may have."""
    equality = operator in (Operator.EQ, Operator.NE)
    match target.space, value.kind:
        case Space.INTEGER, Kind.STRING if equality:
            # Sail compares the texts, Spark the numbers: the same only for a canonical text.
            plain = re.fullmatch(r"0|-?[1-9]\d{0,17}", value.low)
            return (Fraction(value.low), Fraction(value.low)) if plain else None
        case Space.INTEGER | Space.DECIMAL, Kind.INTEGER | Kind.DECIMAL:
            factor = 10**target.scale
            return value.low * factor, value.high * factor
        case Space.INTEGER | Space.DECIMAL, Kind.DOUBLE:
            return _widened(value, 10**target.scale)
        case Space.BOOLEAN, Kind.BOOLEAN:
            return value.low, value.high
        case Space.DATE, Kind.DATE:
            return value.low, value.high
        case Space.DATE, Kind.TIMESTAMP:
            return value.low / DAY_MICROS, value.high / DAY_MICROS
        case Space.TIMESTAMP, Kind.TIMESTAMP:
            return value.low, value.high
        case Space.TIMESTAMP, Kind.DATE:
            return value.low * DAY_MICROS, value.high * DAY_MICROS
        case Space.DATE | Space.TIMESTAMP, Kind.STRING:
            read = days_of if target.space is Space.DATE else micros_of
            place = read(value.low)
            return None if place is None else (Fraction(place), Fraction(place))
    return None


def _widened(value: Constant, factor: int) -> tuple[Fraction, Fraction] | None:
    """A float beside exact numbers: the engine rounds the column, so allow for some steps."""
    if not (math.isfinite(value.low) and math.isfinite(value.high)):
        return None
    low, high = Fraction(value.low), Fraction(value.high)
    return (low - abs(low) / 2**50) * factor, (high + abs(high) / 2**50) * factor


def _whole(column: str, operator: Operator, low: Fraction, high: Fraction) -> Condition:
    exact = low == high
    match operator:
        case Operator.EQ:
            first, last = math.ceil(low), math.floor(high)
            return Range(column=column, low=first, high=last) if first <= last else NEVER
        case Operator.NE:
            if exact and low.denominator == 1:
                return Differs(column=column, value=int(low))
            return Null(column=column, negated=True)
        case Operator.LT:
            return Range(column=column, high=math.ceil(high) - 1)
        case Operator.LE:
            return Range(column=column, high=math.floor(high))
        case Operator.GT:
            return Range(column=column, low=math.floor(low) + 1)
        case Operator.GE:
            return Range(column=column, low=math.ceil(low))


def _float(target: ColumnSpace, operator: Operator, value: Constant) -> Condition:
    """Ends stay closed, so that -0.0 and 0.0 are the same; NaN is above everything."""
    if value.kind in _NUMBERS:
        low = high = float(value.low)
        wide = Fraction(low) != value.low
    elif value.kind is Kind.DOUBLE:
        low, high, wide = value.low, value.high, False
    else:
        return MAYBE
    if math.isnan(low) or math.isnan(high):
        return MAYBE
    if target.space is Space.FLOAT:
        with np.errstate(over="ignore"):
            single = float(np.float32(low)), float(np.float32(high))
        wide = wide or single != (low, high)
        low, high = min(low, *single), max(high, *single)
    if wide:
        low, high = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    column = target.column
    match operator:
        case Operator.EQ:
            return Range(column=column, low=low, high=high)
        case Operator.NE:
            return Null(column=column, negated=True)
        case Operator.LT | Operator.LE:
            return Range(column=column, high=high)
        case Operator.GT | Operator.GE:
            return Range(column=column, low=low, nan=True)
