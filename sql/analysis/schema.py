"""Columns and types of the catalog in the form that sqlglot's passes read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.schema import MappingSchema

from sql.analysis.view import Relation
from sql.syntax.dialect import DIALECT_NAME

#: Of a type, what its author chose: names of fields and comments.
_WRITTEN = re.compile(r"""(`(?:[^`]|``)*`|'(?:[^'\\]|\\.)*'|\w+(?=:))""")


@lru_cache(maxsize=4096)
def data_type(ddl: str) -> exp.DataType:
    """The type of a column. What sqlglot cannot read is unknown. Shared: never to be changed."""
    try:
        return exp.DataType.build(ddl, dialect=DIALECT_NAME)
    except SqlglotError:
        return exp.DataType.build("unknown")


def ddl_type(type_: exp.DataType) -> str:
    """The Spark DDL text of a type, in lower case but for the names of fields."""
    parts = _WRITTEN.split(type_.sql(dialect=DIALECT_NAME))
    return "".join(part if place % 2 else part.lower() for place, part in enumerate(parts))


def schema_of(relations: Iterable[Relation]) -> MappingSchema:
    """A schema of two levels, database and table; names of columns in lower case."""
    mapping: dict[str, Any] = {}
    for relation in relations:
        tables = mapping.setdefault(relation.name.database, {})
        tables[relation.name.name] = {
            column.name.lower(): data_type(column.type) for column in relation.columns
        }
    return MappingSchema(mapping, dialect=DIALECT_NAME, normalize=False)
