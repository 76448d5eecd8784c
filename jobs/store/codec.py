"""Frozen values to JSON and back, by their type hints, so that a row holds no pickle.

Dataclasses become objects of their fields, left out where they have their default, with the class
name as ``"_"``, by which unions are told apart. Moments are milliseconds since 1970 in UTC,
spans are milliseconds.
A field that a newer version added takes its default when an older row is read.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def pack(value: object) -> bytes:
    """``value`` as compressed JSON; ``unpack`` with its type gives an equal one back."""
    text = json.dumps(to_json(value), separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode(), 1)


def unpack(kind: type[T], data: bytes) -> T:
    """The value of type ``kind`` that was packed."""
    return from_json(kind, json.loads(zlib.decompress(data)))


def to_json(value: Any) -> Any:
    """``value`` as JSON; raises ``TypeError`` for what has no form there."""
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, tuple | list | frozenset):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(to_json(key)): to_json(item) for key, item in value.items()}
    if isinstance(value, datetime):
        return (value - _EPOCH) // _MILLISECOND
    if isinstance(value, timedelta):
        return value // _MILLISECOND
    told: dict[str, Any] = {"_": type(value).__name__}
    shape: Any = type(value)
    for name, default in _fields(shape):
        item = getattr(value, name)
        if default is dataclasses.MISSING or item != default:
            told[name] = to_json(item)
    return told


def from_json(kind: type[T], value: Any) -> T:
    """The value of type ``kind`` whose ``to_json`` is ``value``."""
    wanted: Any = kind
    result: T = _reader(wanted)(value)
    return result


@cache
def _fields(kind: type) -> tuple[tuple[str, Any], ...]:
    """Names and defaults."""
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no form in a row")
    return tuple((field.name, field.default) for field in dataclasses.fields(kind))


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """How to read a value of ``kind``; made once a type."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union_reader(kind)
    if origin is tuple:
        inner = get_args(kind)
        if len(inner) == 2 and inner[1] is Ellipsis:
            read = _reader(inner[0])
            return lambda items: tuple([read(item) for item in items])
        readers = [_reader(part) for part in inner]
        return lambda items: tuple(read(item) for read, item in zip(readers, items, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        key_type, value_type = get_args(kind)
        read_key, read = _reader(key_type), _reader(value_type)
        return lambda items: {read_key(key): read(item) for key, item in items.items()}
    kind = getattr(kind, "__supertype__", kind)  # a NewType
    if kind is datetime:
        return lambda value: _EPOCH + timedelta(milliseconds=value)
    if kind is timedelta:
        return lambda value: timedelta(milliseconds=value)
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return lambda value: value


def _union_reader(kind: Any) -> Callable[[Any], Any]:
    parts = [part for part in get_args(kind) if part is not type(None)]
    readers = {part.__name__: _reader(part) for part in parts if _is_class(part)}
    plain = [_reader(part) for part in parts if not _is_class(part)]

    def read(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict) and "_" in value and readers:
            return readers[value["_"]](value)
        return plain[0](value)

    return read


def _is_class(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _dataclass_reader(kind: Any) -> Callable[[Any], Any]:
    hints = typing.get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}
    return lambda value: kind(
        **{name: readers[name](item) for name, item in value.items() if name in readers}
    )
