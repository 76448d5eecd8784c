"""What a preparing child and its parent say to each other, over a pipe, as pickled values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sql.analysis.view import Relation
from sql.guard.limits import GuardLimits
from sql.statement import PreparedStatement, TableName
from storage.base.errors import ServiceError
from storage.base.ids import SnapshotId, TableId

#: What a relation is known by: its definition and its files never change under this key.
RelationKey = tuple[TableId, int, SnapshotId | None]


def key_of(relation: Relation) -> RelationKey:
    """The key under which a child keeps ``relation``."""
    definition = relation.definition
    snapshot = relation.snapshot
    return (definition.id, definition.version, None if snapshot is None else snapshot.snapshot_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Prepare ``text`` with this view of the catalog.

    ``relations`` are the names that were looked up and found; the child keeps what ``carried``
    brings, and asks with ``Forgotten`` for what it has dropped.
    """

    text: str
    database: str
    parameters: Mapping[str, Any] | Sequence[Any]
    limits: GuardLimits
    databases: tuple[str, ...]
    relations: Mapping[TableName, RelationKey]
    carried: tuple[Relation, ...]
    absent: frozenset[TableName]
    similar: Mapping[TableName, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """The child has loaded what it needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """These names must be looked up first."""

    names: tuple[TableName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """These relations must be carried again."""

    keys: tuple[RelationKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The statement is understood."""

    prepared: PreparedStatement


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """The statement is not understood, or refused. ``text`` is the explanation, if one was made."""

    error: ServiceError


Answer = Ready | Needed | Forgotten | Done | Wrong
