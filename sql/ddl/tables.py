"""CREATE TABLE, with and without a query: from sqlglot's tree to a command of the catalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from sqlglot import exp

from sql.analysis.names import qualified, where
from sql.analysis.schema import ddl_type
from sql.analysis.view import CatalogView
from sql.errors import SqlError, SqlSyntaxError
from sql.statement import TableName, WriteMode, WriteTarget
from sql.syntax.dialect import render
from sql.syntax.kinds import refuse
from storage.catalog.commands import CreateTable
from storage.catalog.definitions import Column, TableFormat


@dataclass(kw_only=True)
class _Clauses:
    """What stands behind the name of a table that is made."""

    format: TableFormat = TableFormat.PARQUET
    location: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    partitions: list[Column] = field(default_factory=list)  #: type "" where only a name was given
    comment: str | None = None


def create_table(create: exp.Create, *, database: str, view: CatalogView, text: str) -> CreateTable:
    """``CREATE [OR REPLACE] TABLE [IF NOT EXISTS] [d.]t [(columns)] [USING …] … [LOCATION …]``."""
    name, columns = _name_and_columns(create, database, view, text)
    clauses = _clauses(create)
    location = clauses.location or _path_option(clauses)
    if not columns and location is None:
        raise SqlError(
            f"table {name} needs columns, or a LOCATION to take them from",
            hint="CREATE TABLE t (id INT, name STRING)",
        )
    if location is None and clauses.format is not TableFormat.PARQUET:
        refuse(f"a table of our own in {clauses.format}", "leave USING out, or give a LOCATION")
    if location is None and clauses.partitions:
        refuse("PARTITIONED BY without LOCATION")
    columns, partitioned_by = _with_partitions(columns, clauses.partitions)
    return CreateTable(
        database=name.database,
        name=name.name,
        columns=tuple(columns),
        format=clauses.format,
        location=location,
        options=tuple(sorted(clauses.options.items())),
        partitioned_by=partitioned_by,
        if_not_exists=bool(create.args.get("exists")),
        or_replace=bool(create.args.get("replace")),
        comment=clauses.comment,
    )


def create_as_target(
    create: exp.Create, *, database: str, view: CatalogView, text: str
) -> WriteTarget:
    """Where a CREATE TABLE AS writes to, without its columns."""
    name, columns = _name_and_columns(create, database, view, text)
    if columns:
        raise SqlSyntaxError(
            "a table that is made AS a query has the query's columns",
            hint="name them in the query: SELECT … AS name",
            **where(create.this, text),
        )
    clauses = _clauses(create)
    if clauses.location is not None or clauses.options:
        refuse("CREATE TABLE … LOCATION … AS", "leave LOCATION and OPTIONS out")
    if clauses.partitions:
        refuse("PARTITIONED BY without LOCATION")
    if clauses.format is not TableFormat.PARQUET:
        refuse(f"a table of our own in {clauses.format}", "leave USING out")
    return WriteTarget(
        table=name,
        mode=WriteMode.CREATE,
        table_id=None,
        base_snapshot=None,
        columns=(),
        if_not_exists=bool(create.args.get("exists")),
        or_replace=bool(create.args.get("replace")),
        comment=clauses.comment,
    )


def column_defs(schema: exp.Expr) -> Iterator[Column]:
    """The columns within the brackets of ``schema``; type "" where none is written."""
    for definition in schema.expressions:
        if isinstance(definition, exp.Identifier):
            yield Column(name=definition.name, type="")
        elif isinstance(definition, exp.ColumnDef):
            yield _column(definition)
        else:
            refuse(f"{definition.key.upper()} in CREATE TABLE")


def create_name(create: exp.Create, *, database: str, view: CatalogView, text: str) -> TableName:
    """The name of what is made."""
    table = create.this.this if isinstance(create.this, exp.Schema) else create.this
    if not isinstance(table, exp.Table):
        raise SqlSyntaxError("a name of a table is needed here")
    return qualified(table, database=database, view=view, text=text)


def comment_of(create: exp.Create) -> str | None:
    """The text of its COMMENT."""
    return _clauses(create).comment


def _name_and_columns(
    create: exp.Create, database: str, view: CatalogView, text: str
) -> tuple[TableName, list[Column]]:
    for key in ("clone", "shallow", "indexes"):
        if create.args.get(key):
            refuse(f"CREATE TABLE … {key.upper()}")
    columns = list(column_defs(create.this)) if isinstance(create.this, exp.Schema) else []
    if any(not column.type for column in columns):
        name = next(column.name for column in columns if not column.type)
        raise SqlSyntaxError(f"column {name} needs a type", **where(create.this, text))
    return create_name(create, database=database, view=view, text=text), columns


def _column(definition: exp.ColumnDef) -> Column:
    nullable, comment = True, None
    for constraint in definition.constraints:
        match constraint.kind:
            case exp.NotNullColumnConstraint() as not_null:
                nullable = bool(not_null.args.get("allow_null"))
            case exp.CommentColumnConstraint() as said:
                comment = said.this.name
            case other:
                refuse(
                    f"{type(other).__name__.removesuffix('ColumnConstraint').upper()} on a column"
                )
    kind = definition.args.get("kind")
    if kind is not None and not isinstance(kind, exp.DataType):
        refuse(f"the type {render(kind)}")
    return Column(
        name=definition.name,
        type=ddl_type(kind) if kind is not None else "",
        nullable=nullable,
        comment=comment,
    )


def _clauses(create: exp.Create) -> _Clauses:
    found = _Clauses()
    properties = create.args.get("properties")
    for clause in properties.expressions if properties is not None else ():
        match clause:
            case exp.FileFormatProperty():
                found.format = _format(clause)
            case exp.LocationProperty():
                found.location = clause.this.name
            case exp.OptionsProperty():
                found.options |= {
                    item.name.lower(): item.args["value"].name for item in clause.expressions
                }
            case exp.PartitionedByProperty():
                found.partitions = list(_partitions(clause.this))
            case exp.SchemaCommentProperty():
                found.comment = clause.this.name
            case exp.ExternalProperty():
                pass
            case exp.TemporaryProperty() | exp.GlobalProperty():
                refuse("a temporary table or view", "write WITH name AS (…) in the query")
            case exp.LikeProperty():
                refuse("CREATE TABLE … LIKE")
            case _:
                name = type(clause).__name__.removesuffix("Property").upper()
                refuse(f"{name} in CREATE")
    return found


def _format(clause: exp.FileFormatProperty) -> TableFormat:
    name = clause.name.lower()
    known = {format_.value: format_ for format_ in TableFormat}
    if name in known:
        return known[name]
    near = get_close_matches(name, known, n=1)
    raise SqlError(
        f"there is no format {name or render(clause)}",
        hint=f"did you mean {near[0]}?" if near else "formats are parquet, csv and json",
    )


def _partitions(clause: exp.Expr) -> Iterator[Column]:
    for part in clause.expressions or [clause]:
        if isinstance(part, exp.ColumnDef):
            yield _column(part)
        elif isinstance(part, exp.Identifier | exp.Column):
            yield Column(name=part.name, type="")
        else:
            refuse("PARTITIONED BY with an expression", "name columns")


def _with_partitions(
    columns: list[Column], partitions: list[Column]
) -> tuple[list[Column], tuple[str, ...]]:
    """All columns, those of the partitions last, and the names of these."""
    named = {column.name.lower(): column for column in columns}
    if len(named) != len(columns):
        raise SqlError("two columns of the table have the same name")
    last = []
    for partition in partitions:
        written = named.pop(partition.name.lower(), None)
        if written is None and columns and not partition.type:
            raise SqlError(f"PARTITIONED BY names {partition.name}, which is no column")
        last.append(partition if partition.type or written is None else written)
    if not columns:  # all come from the files, or none
        if any(partition.type for partition in partitions):
            raise SqlError(
                "PARTITIONED BY gives types, and there are no other columns",
                hint="name all columns with their types, or only the names of the partitions",
            )
        last = []
    return [*named.values(), *last], tuple(partition.name.lower() for partition in partitions)


def _path_option(clauses: _Clauses) -> str | None:
    return clauses.options.pop("path", None)
