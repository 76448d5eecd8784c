"""References in job documents: typed values that take the place of ``{"ref": …}`` in the tree.

They can stand only below ``parameters``, ``arguments`` and ``environment``, which are values and
never text of a program: nothing that comes from outside can become SQL or a command. In
``parameters`` a date stays a date; in the other two everything is text.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from jobs.firings.errors import ReferenceInvalidError

#: Where references can stand in a document.
PLACES = ("parameters", "arguments", "environment")

#: A value of a reference: JSON, a moment or a day.
Value = Any
_PAYLOAD = "payload"
_MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What references may be called at one kind of source; ``payload.…`` is open."""

    known: tuple[str, ...]
    payload: bool = False


SCHEDULE = Names(known=("due_at", "due_date"))
OBJECT = Names(known=("object_uri", "object_size", "due_at", "due_date"))
WEBHOOK = Names(known=("delivery_id", "due_at", "due_date"), payload=True)
JOB_END = Names(known=("job_id", "job_state", "job_name", "due_at", "due_date"))


def check_references(document: Mapping[str, Any], names: Names) -> None:
    """Raise ``ReferenceInvalidError`` for a reference in a wrong place or without a meaning."""
    for name, value in document.items():
        if name not in PLACES:
            _refuse_references(value, name)
    resolve(document, samples(names), names=names)


def samples(names: Names) -> dict[str, Value]:
    """A value for each name, of its type, to check a document with."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    typed: dict[str, Value] = {"due_at": at, "due_date": at.date(), "object_size": 1}
    return {name: typed.get(name, "sample") for name in names.known}


def resolve(
    document: Mapping[str, Any], values: Mapping[str, Value], *, names: Names | None = None
) -> dict[str, Any]:
    """The document with the values of its references.

    ``names`` given: only to check, so what a payload will bring is taken as text.
    """
    return {
        name: _resolved(value, _Context(values, names, typed=name == "parameters"), name)
        if name in PLACES
        else value
        for name, value in document.items()
    }


@dataclass(frozen=True, slots=True)
class _Context:
    values: Mapping[str, Value]
    names: Names | None
    typed: bool


def _resolved(value: Any, context: _Context, path: str) -> Any:
    if isinstance(value, Mapping):
        if "ref" in value:
            return _value(value, context, path)
        return {name: _resolved(each, context, f"{path}.{name}") for name, each in value.items()}
    if _is_list(value):
        return [_resolved(each, context, f"{path}[{at}]") for at, each in enumerate(value)]
    return value


def _value(reference: Mapping[str, Any], context: _Context, path: str) -> Any:
    name, days = reference["ref"], reference.get("days", 0)
    odd = set(reference) - {"ref", "days"}
    if odd or not isinstance(name, str):
        raise _wrong(path, f"{path}: a reference has ref, and days for due_date, nothing else")
    if isinstance(days, bool) or not isinstance(days, int) or abs(days) > 36_600:
        raise _wrong(path, f"{path}: days is a whole number of days")
    if "days" in reference and name != "due_date":
        raise _wrong(path, f"{path}: only due_date can be moved by days")
    found = _find(name, context, path)
    if isinstance(found, date) and not isinstance(found, datetime):
        found += timedelta(days=days)
    return _typed(found) if context.typed else _text(found)


def _find(name: str, context: _Context, path: str) -> Value:
    if name in context.values:
        return context.values[name]
    first, *steps = name.split(".")
    if first == _PAYLOAD and context.names is not None and context.names.payload:
        return "sample"
    if first == _PAYLOAD and _PAYLOAD in context.values:
        found: Any = context.values[_PAYLOAD]
        for step in steps:
            found = found.get(step, _MISSING) if isinstance(found, Mapping) else _MISSING
        if found is not _MISSING:
            return found
        raise _wrong(path, f"{path}: what came has no {name}")
    known = list(context.values)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
    raise ReferenceInvalidError(f"{path}: there is no reference {name!r}", hint=hint, field=path)


def _typed(value: Value) -> Any:
    if isinstance(value, datetime):
        return {"type": "timestamp", "value": _text(value)}
    if isinstance(value, date):
        return {"type": "date", "value": value.isoformat()}
    return value


def _text(value: Value) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    return value if isinstance(value, str) else str(value)


def _refuse_references(value: Any, path: str) -> None:
    if isinstance(value, Mapping):
        if "ref" in value:
            raise _wrong(path, f"{path}: a reference cannot stand here")
        for name, each in value.items():
            _refuse_references(each, f"{path}.{name}")
    elif _is_list(value):
        for at, each in enumerate(value):
            _refuse_references(each, f"{path}[{at}]")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _wrong(path: str, message: str) -> ReferenceInvalidError:
    return ReferenceInvalidError(
        message,
        hint=f"references stand below {', '.join(PLACES)}, "
        'as {"day": {"ref": "due_date", "days": -1}}',
        field=path,
    )
