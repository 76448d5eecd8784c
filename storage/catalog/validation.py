"""Definitions that are whole: names allowed, columns distinct, types known, spelled one way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from storage.catalog.datatypes import normal_type
from storage.catalog.definitions import Column
from storage.catalog.errors import InvalidDefinitionError, UnknownTypeError
from storage.catalog.names import column_name, did_you_mean, similar

_MOST_COLUMNS = 10_000


def checked_columns(columns: Sequence[Column], *, of: str) -> tuple[Column, ...]:
    """``columns`` with canonical types; ``of`` names the table in errors.

    Raises ``InvalidDefinitionError`` for none, too many or two of one name (in any case),
    ``InvalidNameError`` and ``UnknownTypeError``, which name the column.
    """
    if not columns:
        raise InvalidDefinitionError(f"{of} has no columns", hint="name at least one")
    if len(columns) > _MOST_COLUMNS:
        raise InvalidDefinitionError(f"{of} has more than {_MOST_COLUMNS} columns")
    seen: set[str] = set()
    for column in columns:
        lowered = column_name(column.name).lower()
        if lowered in seen:
            raise InvalidDefinitionError(
                f"{of} has two columns {column.name!r}", hint="upper and lower case are the same"
            )
        seen.add(lowered)
    return tuple(_checked_type(column) for column in columns)


def checked_partitions(names: Sequence[str], columns: Sequence[Column]) -> tuple[str, ...]:
    """``names`` spelled as in ``columns``; ``InvalidDefinitionError`` where one is not there."""
    spelled = {column.name.lower(): column.name for column in columns}
    found: list[str] = []
    for name in names:
        if name.lower() not in spelled:
            near = similar(name, spelled)
            raise InvalidDefinitionError(
                f"the partition column {name!r} is not a column", hint=did_you_mean(near)
            )
        if spelled[name.lower()] in found:
            raise InvalidDefinitionError(f"the partition column {name!r} is named twice")
        found.append(spelled[name.lower()])
    return tuple(found)


def partitions_last(columns: Sequence[Column], names: Sequence[str]) -> tuple[Column, ...]:
    """``columns`` with the partition columns at the end, in the order of ``names``."""
    by_name = {column.name: column for column in columns}
    rest = tuple(column for column in columns if column.name not in names)
    return rest + tuple(by_name[name] for name in names)


def _checked_type(column: Column) -> Column:
    try:
        return replace(column, type=normal_type(column.type))
    except UnknownTypeError as error:
        raise UnknownTypeError(
            f"column {column.name!r}: {error.message}", hint=error.hint, column_name=column.name
        ) from error
