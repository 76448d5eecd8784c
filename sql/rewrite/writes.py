"""Writes as SELECTs: the rows of a write, in the order and the types of its target.

Files are written by the engine from a SELECT and committed to the catalog by the service, so an
INSERT or a CREATE TABLE AS never reaches an engine as such.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches

from sqlglot import exp

from sql.analysis.bind import BoundStatement, OutputColumn
from sql.analysis.names import where
from sql.analysis.schema import data_type, ddl_type
from sql.analysis.types import assignable
from sql.analysis.view import Relation
from sql.errors import (
    ColumnCountError,
    ColumnNotFoundError,
    NotATableError,
    SqlError,
    TypeMismatchError,
)
from sql.statement import StatementKind, WriteMode, WriteTarget
from sql.syntax.dialect import DIALECT_NAME
from sql.syntax.kinds import refuse
from storage.catalog.definitions import Column, TableKind

_SOURCE = "_rows"


def insert_target(bound: BoundStatement) -> WriteTarget:
    """Where an INSERT writes to. Raises where that is no table of ours."""
    relation = _writable(bound)
    overwrite = bound.kind is StatementKind.INSERT_OVERWRITE
    definition = relation.definition
    return WriteTarget(
        table=relation.name,
        mode=WriteMode.OVERWRITE if overwrite else WriteMode.APPEND,
        table_id=definition.id,
        base_snapshot=definition.snapshot_id,
        columns=definition.columns,
        partitioned_by=definition.partitioned_by,
    )


def insert_select(bound: BoundStatement, query: exp.Query, text: str) -> exp.Query:
    """The rows that ``query`` inserts, each column cast to the type that the table has.

    Raises ``ColumnCountError``, ``ColumnNotFoundError`` and ``TypeMismatchError`` by the rules of
    Spark's ANSI store assignment: a text is never taken for a number or a date.
    """
    insert = bound.statement
    assert isinstance(insert, exp.Insert)
    columns = _writable(bound).columns
    output = _known_output(bound)
    named = _written_columns(insert, columns, text)
    if insert.args.get("by_name"):
        named = _checked([_column(columns, column.name, {}) for column in output], columns)
    _check_counts(named, output)
    values = _values(bound)
    for index, column in enumerate(named):
        types = [row[index].type for row in values] if values else [output[index].type]
        for type_ in types:
            _check_type(column, type_)
    rows, names = _rows(query, len(output))
    sources = {column.name.lower(): name for column, name in zip(named, names, strict=True)}
    return exp.select(*(_value(column, sources) for column in columns)).from_(rows)


def create_select(bound: BoundStatement, query: exp.Query) -> exp.Query:
    """The rows of a CREATE TABLE AS. A column of nothing but NULL becomes a string.

    Engines write a type for it that no engine reads.
    """
    if not any(map(_is_void, bound.output)):
        return query
    rows, names = _rows(query, len(bound.output))
    columns = []
    for output, name in zip(bound.output, names, strict=True):
        value: exp.Expr = exp.column(name, table=_SOURCE, quoted=True)
        if _is_void(output):
            value = exp.cast(value, "string", dialect=DIALECT_NAME)
        columns.append(exp.alias_(value, output.name, quoted=True))
    return exp.select(*columns).from_(rows)


def create_target(bound: BoundStatement, target: WriteTarget) -> WriteTarget:
    """``target`` of a CREATE TABLE AS with the columns of its query.

    The type of a column is known where it is that of a table's column; else the engine knows it.
    """
    columns = []
    for output in _known_output(bound):
        if not output.name:
            raise ColumnNotFoundError("a column of the new table has no name", hint="write AS name")
        columns.append(Column(name=output.name, type=_sure_type(output)))
    _check_unique([column.name for column in columns])
    return WriteTarget(
        table=target.table,
        mode=target.mode,
        table_id=None,
        base_snapshot=None,
        columns=tuple(columns),
        if_not_exists=target.if_not_exists,
        or_replace=target.or_replace,
        comment=target.comment,
    )


def _rows(query: exp.Query, count: int) -> tuple[exp.Subquery, list[str]]:
    """``query`` as a source whose columns have names of ours."""
    names = [f"_{index}" for index in range(count)]
    alias = exp.TableAlias(
        this=exp.to_identifier(_SOURCE, quoted=True),
        columns=[exp.to_identifier(name, quoted=True) for name in names],
    )
    return exp.Subquery(this=query, alias=alias), names


def _is_void(output: OutputColumn) -> bool:
    return output.type is not None and output.type.this is exp.DType.NULL


def _writable(bound: BoundStatement) -> Relation:
    relation = bound.target
    assert relation is not None
    if relation.is_view:
        raise NotATableError(f"{relation.name} is a view; rows go into tables")
    if relation.definition.kind is TableKind.EXTERNAL:
        raise NotATableError(
            f"{relation.name} is an external table; its files belong to somebody else",
            hint="write into a table made without LOCATION",
        )
    return relation


def _known_output(bound: BoundStatement) -> Sequence[OutputColumn]:
    if not bound.output:
        raise SqlError(
            "how many columns the query gives is known to the engine only",
            hint="name them: SELECT a, b FROM (SELECT …)",
        )
    return bound.output


def _written_columns(insert: exp.Insert, columns: Sequence[Column], text: str) -> list[Column]:
    if isinstance(insert.this, exp.Table) and insert.this.args.get("partition"):
        refuse("INSERT … PARTITION", "write the whole table")
    for key, name in (("where", "REPLACE WHERE"), ("conflict", "ON CONFLICT")):
        if insert.args.get(key):
            refuse(f"INSERT … {name}")
    if not isinstance(insert.this, exp.Schema):
        return list(columns)
    names = [
        _column(columns, identifier.name, where(identifier, text))
        for identifier in insert.this.expressions
    ]
    return _checked(names, columns)


def _checked(names: list[Column], columns: Sequence[Column]) -> list[Column]:
    """``names``, if each is there once and none that must be is left out."""
    _check_unique([column.name for column in names])
    for column in columns:
        if not column.nullable and column not in names:
            raise ColumnCountError(f"column {column.name} is NOT NULL and gets no value")
    return names


def _column(columns: Sequence[Column], name: str, place: dict[str, object]) -> Column:
    for column in columns:
        if column.name.lower() == name.lower():
            return column
    near = get_close_matches(name.lower(), [column.name.lower() for column in columns], n=1)
    raise ColumnNotFoundError(
        f"the table has no column {name}",
        hint=f"did you mean {near[0]}?" if near else None,
        **{"line": place["line"], "column": place["column"]} if place else {},
    )


def _check_unique(names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(map(str.lower, names)).items() if count > 1]
    if twice:
        raise SqlError(f"column {twice[0]} is there twice", hint="give each its own name: AS")


def _check_counts(named: Sequence[Column], output: Sequence[OutputColumn]) -> None:
    if len(named) != len(output):
        raise ColumnCountError(
            f"the table takes {len(named)} columns, the query gives {len(output)}",
            hint="name the columns: INSERT INTO t (a, b) …" if len(output) < len(named) else None,
        )


def _values(bound: BoundStatement) -> list[list[exp.Expr]]:
    """The rows of INSERT … VALUES, typed one by one; [] for a query."""
    query = bound.scan_tree
    if not isinstance(query, exp.Select) or not isinstance(bound.query, exp.Select):
        return []
    from_ = query.args.get("from_")
    values = from_.this if from_ is not None else None
    if not isinstance(values, exp.Values) or not bound.query.is_star:
        return []
    return [list(row.expressions) for row in values.expressions]


def _check_type(column: Column, source: exp.DataType | None) -> None:
    if not assignable(source, data_type(column.type)):
        assert source is not None
        raise TypeMismatchError(
            f"column {column.name} is {column.type}, the value is {ddl_type(source)}",
            hint=f"write CAST(… AS {column.type.upper()})",
        )


def _value(column: Column, sources: dict[str, str]) -> exp.Expr:
    name = sources.get(column.name.lower())
    value: exp.Expr = exp.null() if name is None else exp.column(name, table=_SOURCE, quoted=True)
    type_ = data_type(column.type)
    if type_.this is not exp.DType.UNKNOWN:
        value = exp.cast(value, type_.copy(), dialect=DIALECT_NAME)
    return exp.alias_(value, column.name, quoted=True)


def _sure_type(output: OutputColumn) -> str:
    return ddl_type(output.type) if output.type is not None and output.from_table else ""
