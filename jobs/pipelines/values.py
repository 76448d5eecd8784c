"""Values with the types that parameters and outputs have.

A value is plain JSON beside the name of its type: text for dates, moments and decimals. It becomes
a parameter of a statement (``sql_value``), a text (``text_of``) or something to compare.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from jobs.pipelines.errors import ValueMissingError

#: What a parameter may be declared as, beside ``decimal(p,s)``.
TYPES: Final = ("string", "int", "bigint", "double", "boolean", "date", "timestamp")
_DECIMAL: Final = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")
_BITS: Final = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}
INTEGERS: Final = frozenset(_BITS)
_FLOATS: Final = frozenset({"float", "double"})


class Family(StrEnum):
    """Types whose values can be compared with each other."""

    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A value; ``value`` None is NULL of its type."""

    type: str
    value: Any


def known_type(name: str) -> str | None:
    """The type as it is kept, of what was written; None for one that there is not."""
    name = name.strip().lower()
    name = {"integer": "int", "long": "bigint", "bool": "boolean", "text": "string"}.get(name, name)
    if name in TYPES:
        return name
    match = _DECIMAL.fullmatch(name)
    if match is None or not 1 <= int(match[1]) <= 38 or int(match[2]) > int(match[1]):
        return None
    return f"decimal({int(match[1])},{int(match[2])})"


def family_of(type_: str) -> Family | None:
    """With what a value of this SQL type can be compared; None for arrays and their like."""
    if type_ in _BITS or type_ in _FLOATS or type_.startswith("decimal"):
        return Family.NUMBER
    if type_ == "timestamp_ntz":
        return Family.TIMESTAMP
    return Family(type_) if type_ in set(Family) else None


def read_value(type_: str, given: object) -> Any:
    """``given`` as a value of the type: JSON, text as people write it, or ``{"type", "value"}``.

    Raises ``ValueError`` with a message for people.
    """
    if isinstance(given, dict):
        if set(given) != {"type", "value"}:
            raise ValueError('is neither a scalar nor {"type": …, "value": …}')
        told = known_type(str(given["type"]))
        if told is None or family_of(told) is not family_of(type_):
            raise ValueError(f"is a {given['type']}, not a {type_}")
        given = given["value"]
    if given is None:
        return None
    if not isinstance(given, str | int | float | bool):
        raise ValueError(f"is no {type_}")
    try:
        return _read(type_, given)
    except (ValueError, ArithmeticError) as error:
        raise ValueError(f"{given!r} is no {type_}") from error


def _read(type_: str, given: str | float | bool) -> Any:
    match type_:
        case "string":
            if not isinstance(given, str):
                raise ValueError
            return given
        case "boolean":
            return _boolean(given)
        case "int" | "bigint":
            return _integer(type_, given)
        case "double":
            return _double(given)
        case "date":
            return date.fromisoformat(_text(given)).isoformat()
        case "timestamp":
            text = _text(given)
            datetime.fromisoformat(text.replace("Z", "+00:00"))
            return text
    return _decimal(type_, given)


def _text(given: str | float | bool) -> str:
    if not isinstance(given, str):
        raise ValueError
    return given.strip()


def _boolean(given: str | float | bool) -> bool:
    if isinstance(given, bool):
        return given
    if not isinstance(given, str) or given.lower() not in ("true", "false"):
        raise ValueError
    return given.lower() == "true"


def _integer(type_: str, given: str | float | bool) -> int:
    if isinstance(given, bool | float):
        raise ValueError
    number = int(given)
    if not -(2 ** _BITS[type_]) <= number < 2 ** _BITS[type_]:
        raise ValueError
    return number


def _double(given: str | float | bool) -> float:
    if isinstance(given, bool):
        raise ValueError
    number = float(given)
    if not math.isfinite(number):
        raise ValueError
    return number


def _decimal(type_: str, given: str | float | bool) -> str:
    match = _DECIMAL.fullmatch(type_)
    if match is None or isinstance(given, bool):
        raise ValueError
    try:
        value = Decimal(str(given))
    except InvalidOperation as error:
        raise ValueError from error
    precision, scale = int(match[1]), int(match[2])
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent > scale:
        raise ValueError
    if abs(value) >= Decimal(10) ** (precision - scale):
        raise ValueError
    return f"{value:f}"


def sql_value(value: Typed) -> Any:
    """As a parameter of a statement: JSON, or ``{"type", "value"}`` where JSON has no such type."""
    if value.value is None or value.type in INTEGERS | {"string", "boolean"}:
        return value.value
    return {"type": value.type, "value": value.value}


def text_of(value: Typed) -> str | None:
    """As text, as it stands in arguments, names of objects and files; None for NULL."""
    if value.value is None or isinstance(value.value, str):
        return value.value
    if isinstance(value.value, bool):
        return "true" if value.value else "false"
    return repr(value.value) if isinstance(value.value, float) else str(value.value)


def comparable(value: Typed, *, wanted: Family | None = None) -> Any:
    """What Python compares; None for NULL. A text becomes a date or a moment where one is wanted.

    Raises ``ValueMissingError`` for a type that cannot be compared, for NaN, and for a day that is
    not in the years 1 to 9999.
    """
    family = family_of(value.type)
    if family is None:
        raise ValueMissingError(f"a value of type {value.type} cannot be compared")
    if value.value is None:
        return None
    text = str(value.value)
    if wanted in (Family.DATE, Family.TIMESTAMP) and family is Family.STRING:
        try:
            return _moment(text) if wanted is Family.TIMESTAMP else date.fromisoformat(text)
        except ValueError as error:
            raise ValueMissingError(f"a text is compared with a {wanted}, and is none") from error
    match family:
        case Family.NUMBER:
            number = Decimal(text)
            if number.is_nan():
                raise ValueMissingError("NaN cannot be compared")
            return number
        case Family.DATE | Family.TIMESTAMP:
            moment = Family.TIMESTAMP in (family, wanted)
            try:
                return _moment(text) if moment else date.fromisoformat(text)
            except ValueError as error:
                raise ValueMissingError(f"the {family} {text} cannot be compared") from error
    return value.value


def _moment(text: str) -> datetime:
    """A moment; in UTC where the text names no zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
