"""Parameters: values that take the place of ``:name`` and ``?`` in the tree, never in the text."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation, localcontext
from typing import Final, TypeAlias

from sqlglot import exp

from sql.errors import ParameterError
from sql.syntax.dialect import DIALECT_NAME
from sql.syntax.parse import positional

#: A JSON scalar, or ``{"type": "date", "value": "2026-01-01"}`` for what JSON has no type for.
Value: TypeAlias = "str | int | float | bool | Mapping[str, object] | None"
Parameters: TypeAlias = "Mapping[str, Value] | Sequence[Value]"

_INTEGERS: Final = {"tinyint": 7, "smallint": 15, "int": 31, "integer": 31, "bigint": 63}
_DECIMAL: Final = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")
_HINT: Final = 'values are JSON scalars or {"type": "date", "value": "2026-01-01"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slot:
    """One place for a value: the node, its inner name, and how the author would call it."""

    node: exp.Placeholder
    name: str
    shown: str


def bind_parameters(tree: exp.Expr | None, parameters: Parameters) -> None:
    """Put a literal in the place of each parameter of ``tree``, which is changed.

    Each value becomes exactly one expression, so the shape of the rest of the tree does not depend
    on it. Raises ``ParameterError`` for a parameter without a value, a value without a parameter,
    a value of an unfit type, and for a parameter where no value may stand.
    """
    values = _named(parameters)
    slots = tuple(_slots(tree)) if tree is not None else ()
    _check_names({slot.name: slot for slot in slots}, values)
    for slot in slots:
        parent = slot.node.parent
        if not isinstance(parent, exp.Expr) or _is_name(slot.node):
            raise ParameterError(
                f"parameter {slot.shown} stands where a name is needed",
                hint="a parameter is a value; names of tables and columns cannot be parameters",
            )
        slot.node.replace(literal(slot.shown, values[slot.name]))


def literal(shown: str, value: Value) -> exp.Expr:
    """The expression for ``value``; ``shown`` names the parameter in errors."""
    match value:
        case None:
            return exp.null()
        case bool():
            return exp.true() if value else exp.false()
        case int():
            return _number(shown, Decimal(value))
        case float():
            if not math.isfinite(value):
                raise ParameterError(f"parameter {shown} is not a finite number", hint=_HINT)
            return _cast(repr(value), "double")
        case str():
            return _string(shown, value)
        case Mapping():
            return _typed(shown, value)
    raise ParameterError(f"parameter {shown} has a value of an unknown type", hint=_HINT)


def _named(parameters: Parameters) -> dict[str, Value]:
    if isinstance(parameters, Mapping):
        for name in parameters:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ParameterError(f"{name!r} is no name for a parameter")
        return dict(parameters)
    return {positional(index): value for index, value in enumerate(parameters)}


def _slots(tree: exp.Expr) -> Iterator[_Slot]:
    for node in tree.find_all(exp.Placeholder):
        name = str(node.this or "")
        yield _Slot(node=node, name=name, shown=_shown(name))


def _check_names(slots: Mapping[str, _Slot], values: Mapping[str, Value]) -> None:
    missing = [slot.shown for name, slot in slots.items() if name not in values]
    if missing:
        raise ParameterError(
            f"no value for parameter {', '.join(sorted(missing))}", missing=sorted(missing)
        )
    unused = sorted(name for name in values if name not in slots)
    if unused:
        shown = [_shown(name) for name in unused]
        raise ParameterError(f"the statement has no parameter {', '.join(shown)}", unused=shown)


def _shown(name: str) -> str:
    return f"number {int(name[1:]) + 1}" if name.startswith("?") else f":{name}"


def _is_name(node: exp.Placeholder) -> bool:
    parent, key = node.parent, node.arg_key
    return isinstance(parent, exp.Table | exp.TableAlias | exp.Identifier | exp.Column) or (
        key == "alias"
    )


def _number(shown: str, value: Decimal) -> exp.Expr:
    digits = f"{value.copy_abs():f}"  # abs() would round to the context's 28 digits
    if len(digits.replace(".", "")) > 38:
        raise ParameterError(f"parameter {shown} has more than 38 digits")
    number = exp.Literal.number(digits)
    return exp.Paren(this=exp.Neg(this=number)) if value < 0 else number


def _string(shown: str, value: str) -> exp.Expr:
    if any(0xD800 <= ord(character) < 0xE000 for character in value):
        raise ParameterError(f"parameter {shown} is not a text in Unicode")
    return exp.Literal.string(value)


def _cast(text: str, type_: str) -> exp.Expr:
    return exp.cast(exp.Literal.string(text), type_, dialect=DIALECT_NAME)


def _typed(shown: str, value: Mapping[str, object]) -> exp.Expr:
    """A value with its SQL type: checked here, so that no engine meets one that does not parse."""
    type_, inner = value.get("type"), value.get("value")
    if set(value) != {"type", "value"} or not isinstance(type_, str):
        raise ParameterError(f"parameter {shown} needs a type and a value", hint=_HINT)
    name = type_.strip().lower()
    if inner is None:
        _check_type(shown, name)
        return exp.cast(exp.null(), name, dialect=DIALECT_NAME)
    text = str(inner).lower() if isinstance(inner, bool) else str(inner)
    try:
        return _parse_typed(shown, name, text)
    except (ValueError, ArithmeticError, binascii.Error) as error:
        raise ParameterError(f"parameter {shown} is not a value of type {name}") from error


def _parse_typed(shown: str, name: str, text: str) -> exp.Expr:
    if name == "string":
        return _string(shown, text)
    if name == "boolean":
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return exp.true() if text.lower() == "true" else exp.false()
    if name in _INTEGERS:
        number = int(text)
        if not -(2 ** _INTEGERS[name]) <= number < 2 ** _INTEGERS[name]:
            raise ValueError(text)
        return exp.cast(_number(shown, Decimal(number)), name, dialect=DIALECT_NAME)
    if name in ("float", "double"):
        if not math.isfinite(float(text)):
            raise ValueError(text)
        return _cast(repr(float(text)), name)
    if match := _DECIMAL.fullmatch(name):
        return _decimal(shown, text, int(match[1]), int(match[2]))
    if name == "date":
        return _cast(date.fromisoformat(text).isoformat(), name)
    if name in ("timestamp", "timestamp_ntz"):
        datetime.fromisoformat(text.replace("Z", "+00:00"))
        return _cast(text, name)
    if name == "binary":
        return exp.HexString(this=base64.b64decode(text, validate=True).hex().upper())
    _check_type(shown, name)
    raise ValueError(text)


def _decimal(shown: str, text: str, precision: int, scale: int) -> exp.Expr:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error
    if not value.is_finite() or not 1 <= precision <= 38 or scale > precision:
        raise ValueError(text)
    with localcontext(prec=100):
        fits = value == round(value, scale) and abs(value) < Decimal(10) ** (precision - scale)
    if not fits:
        raise ParameterError(f"parameter {shown} does not fit into decimal({precision},{scale})")
    return exp.cast(_number(shown, value), f"decimal({precision},{scale})", dialect=DIALECT_NAME)


def _check_type(shown: str, name: str) -> None:
    known = {*_INTEGERS, "string", "boolean", "float", "double", "date", "timestamp",
             "timestamp_ntz", "binary"}  # fmt: skip
    if name not in known and not _DECIMAL.fullmatch(name):
        raise ParameterError(
            f"parameter {shown} has the unknown type {name!r}",
            hint=f"types are {', '.join(sorted(known))} and decimal(p,s)",
        )
