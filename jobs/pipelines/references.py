"""Typed references in the tree of a job document: where they stand, and what takes their place.

``{"ref": "params.day"}`` and ``{"ref": "nodes.load.result.rows"}`` stand for a value, and
``{"join": ["s3://lake/day=", {"ref": "params.day"}]}`` for a text made of several. They may stand
anywhere but in the text of a statement: values reach SQL as parameters only, never as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.pipelines.errors import Fault, ValueMissingError
from jobs.pipelines.values import Typed, sql_value, text_of

#: What a node gives, and its type; None: known when it ran.
OUTPUTS: Final[Mapping[str, str | None]] = {
    "result.rows": "bigint",
    "result.value": None,
    "output.uri": "string",
    "job_id": "string",
}
#: Fields of documents that are programs or decide what the rest means.
FIXED: Final = frozenset({"kind", "sql"})
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PARAMETER = re.compile(rf"params\.({_NAME})")
_OUTPUT = re.compile(rf"nodes\.({_NAME})\.([a-z_.]+)")
_FORMS = (
    "write params.NAME, nodes.NODE.result.rows, nodes.NODE.result.value, nodes.NODE.output.uri "
    "or nodes.NODE.job_id"
)


class ReferenceFormError(ValueError):
    """A text that is no reference; its message is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """What is referred to: the parameter ``parameter``, or ``output`` of ``node``.

    ``file`` says which of several files ``output.uri`` is of.
    """

    parameter: str | None = None
    node: str | None = None
    output: str = ""
    file: str | None = None

    def __str__(self) -> str:
        if self.parameter is not None:
            return f"params.{self.parameter}"
        return f"nodes.{self.node}.{self.output}"


#: The value of a reference; None where there is none, as of a node that was skipped.
Lookup = Callable[[Ref], Typed | None]


def parse_ref(text: object, file: object = None) -> Ref:
    """Read one reference. Raises ``ReferenceFormError``."""
    if not isinstance(text, str) or not isinstance(file, str | None):
        raise ReferenceFormError(f"a reference is a text; {_FORMS}")
    if file is not None and not text.endswith(".output.uri"):
        raise ReferenceFormError("only output.uri has files")
    if match := _PARAMETER.fullmatch(text):
        return Ref(parameter=match[1])
    match = _OUTPUT.fullmatch(text)
    if match is None or match[2] not in OUTPUTS:
        raise ReferenceFormError(f"{text!r} refers to nothing; {_FORMS}")
    return Ref(node=match[1], output=match[2], file=file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a reference stands: the fields on the way to it, from the document's root."""

    path: tuple[str, ...]
    ref: Ref


def find(document: Mapping[str, Any]) -> tuple[tuple[Place, ...], tuple[Fault, ...]]:
    """All references in a document in order, and what is wrong with them, by field."""
    places: list[Place] = []
    faults: list[Fault] = []
    for path, spot in _spots(document, ()):
        field = ".".join(path)
        if path and path[0] in FIXED:
            hint = "a value reaches SQL as a parameter: sql has :day, parameters has day"
            faults.append(Fault(field=field, message="takes no references", hint=hint))
            continue
        try:
            places += [Place(path=path, ref=ref) for ref in _refs(spot)]
        except ReferenceFormError as error:
            faults.append(Fault(field=field, message=str(error)))
    return tuple(places), tuple(faults)


def resolve(document: Mapping[str, Any], lookup: Lookup) -> dict[str, Any]:
    """The document with values in the places of its references; nothing else changes.

    A parameter of a statement keeps its type; everywhere else a value becomes text, and NULL
    null. Raises ``ValueMissingError`` where a node gave no such value.
    """
    statement = document.get("kind") == "statement"
    resolved: dict[str, Any] = {}
    for name, inner in document.items():
        if name in FIXED:
            resolved[name] = inner
        else:
            resolved[name] = _resolve(inner, lookup, typed=statement and name == "parameters")
    return resolved


def is_spot(value: object) -> bool:
    """Whether this stands for a value that is known later."""
    return isinstance(value, Mapping) and ("ref" in value or "join" in value)


def _spots(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if is_spot(value):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _spots(inner, (*path, str(name)))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _spots(inner, (*path, str(index)))


def _refs(spot: Mapping[str, Any]) -> list[Ref]:
    if "join" not in spot:
        _check_fields(spot, {"ref", "file"})
        return [parse_ref(spot["ref"], spot.get("file"))]
    _check_fields(spot, {"join"})
    parts = spot["join"]
    if not isinstance(parts, list | tuple) or not parts:
        raise ReferenceFormError("join is a list of texts and references")
    refs: list[Ref] = []
    for part in parts:
        if isinstance(part, Mapping) and "ref" in part:
            refs += _refs(part)
        elif not isinstance(part, str):
            raise ReferenceFormError("join is a list of texts and references")
    return refs


def _check_fields(spot: Mapping[str, Any], known: set[str]) -> None:
    others = sorted(str(name) for name in spot if name not in known)
    if others:
        raise ReferenceFormError(f"{others[0]} is no field of a reference")


def _resolve(value: Any, lookup: Lookup, *, typed: bool) -> Any:
    if is_spot(value):
        if "join" in value:
            return "".join(_joined(part, lookup) for part in value["join"])
        found = _found(value, lookup)
        return sql_value(found) if typed else text_of(found)
    if isinstance(value, Mapping):
        return {name: _resolve(inner, lookup, typed=typed) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_resolve(inner, lookup, typed=typed) for inner in value]
    return value


def _joined(part: Any, lookup: Lookup) -> str:
    if isinstance(part, str):
        return part
    text = text_of(_found(part, lookup))
    if text is None:
        raise ValueMissingError(f"{part['ref']} is NULL, and a text is to be made of it")
    return text


def _found(spot: Mapping[str, Any], lookup: Lookup) -> Typed:
    ref = parse_ref(spot["ref"], spot.get("file"))
    found = lookup(ref)
    if found is None:
        what = f" of file {ref.file}" if ref.file else ""
        raise ValueMissingError(
            f"there is no value for {ref}{what}",
            hint="the node it names did not run, or gave no such thing",
            reference=str(ref),
        )
    return found
