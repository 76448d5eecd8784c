"""Hive's folders: ``…/day=2026-01-01/country=DE/part.parquet`` holds two columns in its path."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import unquote

from storage.catalog.definitions import Column
from storage.tables.errors import PartitionLayoutError

_NULLS = ("__HIVE_DEFAULT_PARTITION__", "")  # Sail writes an empty text for NULL
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})|0\d{1,8}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Partition columns by their folders' order, and each file's values as text."""

    names: tuple[str, ...]
    values: tuple[tuple[str | None, ...], ...]  #: one tuple a file; None is NULL


def read_layout(base: str, uris: Sequence[str]) -> Layout:
    """The partition columns of ``uris``, which lie below the address ``base``.

    Names and values are URL-decoded. Raises ``PartitionLayoutError`` if two files differ in their
    columns, in any case of the names.
    """
    names: tuple[str, ...] | None = None
    values = []
    for uri in uris:
        folders = uri.removeprefix(base).strip("/").split("/")[:-1]
        pairs = [folder.partition("=") for folder in folders if folder.find("=") > 0]
        own = tuple(unquote(name) for name, _, _ in pairs)
        if names is None:
            names = own
        if tuple(map(str.lower, own)) != tuple(map(str.lower, names)):
            raise PartitionLayoutError(
                f"{uri} lies in the partition folders {_shown(own)}, others in {_shown(names)}",
                hint="register the deepest folder that they have in common",
                file=uri,
            )
        decoded = (unquote(value) for _, _, value in pairs)
        values.append(tuple(None if one in _NULLS else one for one in decoded))
    return Layout(names=names or (), values=tuple(values))


def partition_columns(layout: Layout, given: Mapping[str, Column]) -> tuple[Column, ...]:
    """The columns of a layout: as ``given`` (by lower-case name), else typed by all their values.

    That is ``int`` or ``bigint`` where all are integers, ``date`` where all are dates, ``string``
    for the rest and where there is nothing but NULL.
    """
    columns = []
    for place, name in enumerate(layout.names):
        column = given.get(name.lower())
        if column is None:
            known = {row[place] for row in layout.values}
            kind = _infer([value for value in known if value is not None])
            column = Column(name=name, type=kind)
        columns.append(column)
    return tuple(columns)


def check_values(uris: Sequence[str], layout: Layout, columns: Sequence[Column]) -> None:
    """Raise ``PartitionLayoutError`` for a value that is none of its column's type."""
    for place, column in enumerate(columns):
        known: dict[str, bool] = {}
        for uri, row in zip(uris, layout.values, strict=True):
            value = row[place]
            if value is None:
                continue
            if value not in known:
                known[value] = _is_a(value, column.type)
            if not known[value]:
                raise PartitionLayoutError(
                    f"{uri}: {value!r} is no {column.type}, the type of the partition column "
                    f"{column.name!r}",
                    hint="give the partition column the type string",
                    file=uri,
                )


def _shown(names: Sequence[str]) -> str:
    return "/".join(f"{name}=…" for name in names) or "(none)"


def _infer(values: Sequence[str]) -> str:
    if not values:
        return "string"
    if all(_INTEGER.fullmatch(value) for value in values):
        return "int" if all(_is_a(value, "int") for value in values) else "bigint"
    return "date" if all(_is_a(value, "date") for value in values) else "string"


_RANGES = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}


def _is_a(value: str, kind: str) -> bool:
    """Whether an engine's cast of the text to ``kind`` succeeds; types not known here pass."""
    if (bits := _RANGES.get(kind)) is not None:
        return re.fullmatch(r"[+-]?\d{1,20}", value) is not None and -(1 << bits) <= int(value) < (
            1 << bits
        )
    if kind == "date":
        try:
            return _DATE.fullmatch(value) is not None and bool(date.fromisoformat(value))
        except ValueError:
            return False
    if kind == "boolean":
        return value.lower() in ("true", "false")
    return True
