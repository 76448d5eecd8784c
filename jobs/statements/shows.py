"""SHOW and DESCRIBE, with the columns that Spark gives them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from jobs.execution.parts import Parts
from jobs.lifecycle.job import Job
from sql.statement import Show, ShowWhat, TableName
from sql.syntax.spark_functions import SPARK_FUNCTIONS
from storage.catalog.definitions import TableDef, TableKind
from storage.meta.database import Tx

Row = Sequence[str | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A SHOW in its project."""

    parts: Parts
    tx: Tx
    job: Job
    show: Show

    @property
    def database(self) -> str:
        return self.show.database or self.job.statement.database

    def tables(self) -> tuple[TableDef, ...]:
        return self.parts.catalog.tables(self.tx, self.job.project_id, self.database)

    def table(self) -> TableDef:
        assert self.show.table is not None
        name: TableName = self.show.table
        return self.parts.catalog.require_table(
            self.tx, self.job.project_id, name.database, name.name
        )


def answer_show(parts: Parts, tx: Tx, job: Job, show: Show) -> pa.Table:
    """The rows, in order. Raises ``DatabaseMissingError`` and ``TableMissingError``."""
    columns, rows = _ANSWERS[show.what]
    found = rows(_Question(parts=parts, tx=tx, job=job, show=show))
    schema = pa.schema(
        [pa.field(name, pa.bool_() if name == "isTemporary" else pa.string()) for name in columns]
    )
    return pa.table(
        [pa.array([row[index] for row in found], field.type) for index, field in enumerate(schema)],
        schema=schema,
    )


def matches(pattern: str | None, name: str) -> bool:
    """Spark's patterns of SHOW: ``*`` is any text, ``|`` is or; case does not matter."""
    if pattern is None:
        return True
    return any(
        re.fullmatch(re.escape(part.strip()).replace(r"\*", ".*"), name, re.IGNORECASE)
        for part in pattern.split("|")
    )


def _databases(ask: _Question) -> list[Row]:
    found = ask.parts.catalog.databases(ask.tx, ask.job.project_id)
    return [(each.name,) for each in found if matches(ask.show.pattern, each.name)]


def _tables(ask: _Question) -> list[Row]:
    return _listed(ask, ask.tables())


def _views(ask: _Question) -> list[Row]:
    return _listed(ask, (each for each in ask.tables() if each.kind is TableKind.VIEW))


def _listed(ask: _Question, found: Iterable[TableDef]) -> list[Row]:
    return [
        (each.database, each.name, False) for each in found if matches(ask.show.pattern, each.name)
    ]


def _columns(ask: _Question) -> list[Row]:
    return [(column.name,) for column in ask.table().columns]


def _partitions(ask: _Question) -> list[Row]:
    table = ask.table()
    if table.kind is TableKind.VIEW or not table.partitioned_by:
        return []
    files = ask.parts.tables.snapshot(ask.tx, table).files
    told = {
        "/".join(
            f"{name}={'__HIVE_DEFAULT_PARTITION__' if value is None else value}"
            for name, value in zip(table.partitioned_by, file.partition, strict=True)
        )
        for file in files
    }
    return [(each,) for each in sorted(told)]


def _current_database(ask: _Question) -> list[Row]:
    return [(ask.job.statement.database,)]


def _functions(ask: _Question) -> list[Row]:
    return [(name,) for name in sorted(SPARK_FUNCTIONS) if matches(ask.show.pattern, name)]


def _create_table(ask: _Question) -> list[Row]:
    table = ask.table()
    name = f"{quoted(table.database)}.{quoted(table.name)}"
    if table.kind is TableKind.VIEW:
        columns = ", ".join(quoted(column.name) for column in table.columns)
        return [(f"CREATE VIEW {name} ({columns}) AS {table.view_sql}",)]
    columns = ",\n".join(f"  {_column(table, index)}" for index in range(len(table.columns)))
    lines = [f"CREATE TABLE {name} (\n{columns})"]
    if table.format is not None:
        lines.append(f"USING {table.format.value}")
    if table.options:
        told = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in table.options)
        lines.append(f"OPTIONS ({told})")
    if table.partitioned_by:
        lines.append(f"PARTITIONED BY ({', '.join(quoted(each) for each in table.partitioned_by)})")
    if table.kind is TableKind.EXTERNAL and table.location is not None:
        lines.append(f"LOCATION {literal(table.location)}")
    if table.comment is not None:
        lines.append(f"COMMENT {literal(table.comment)}")
    return [("\n".join(lines),)]


def _column(table: TableDef, index: int) -> str:
    column = table.columns[index]
    told = f"{quoted(column.name)} {column.type.upper()}"
    told += "" if column.nullable else " NOT NULL"
    return told if column.comment is None else f"{told} COMMENT {literal(column.comment)}"


def _properties(ask: _Question) -> list[Row]:
    return [(key, value) for key, value in ask.table().options]


def _describe_table(ask: _Question) -> list[Row]:
    table = ask.table()
    rows: list[Row] = [(each.name, each.type, each.comment) for each in table.columns]
    if table.partitioned_by:
        types = {column.name: column for column in table.columns}
        rows += [("# Partition Information", "", ""), ("# col_name", "data_type", "comment")]
        rows += [(name, types[name].type, types[name].comment) for name in table.partitioned_by]
    if ask.show.extended:
        rows += [("", "", ""), ("# Detailed Table Information", "", "")]
        rows += [(name, value, "") for name, value in _details(ask, table).items()]
    return rows


def _details(ask: _Question, table: TableDef) -> Mapping[str, str]:
    told = {
        "Database": table.database,
        "Table": table.name,
        "Type": table.kind.value.upper(),
        "Provider": "" if table.format is None else table.format.value,
        "Location": table.location or "",
        "Comment": table.comment or "",
        "Created Time": table.created_at.isoformat(),
        "Version": str(table.version),
        "View Text": table.view_sql or "",
    }
    if table.kind is not TableKind.VIEW:
        snapshot = ask.parts.tables.snapshot(ask.tx, table)
        rows = "" if snapshot.rows is None else f", {snapshot.rows} rows"
        told["Statistics"] = f"{snapshot.size} bytes, {len(snapshot.files)} files{rows}"
    return {name: value for name, value in told.items() if value}


def _describe_database(ask: _Question) -> list[Row]:
    found = ask.parts.catalog.require_database(ask.tx, ask.job.project_id, ask.database)
    return [("Namespace Name", found.name), ("Comment", found.comment or "")]


def quoted(name: str) -> str:
    """``name`` as an identifier that is safe in any text."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """``text`` as a string of SQL, with the escapes that both engines read alike."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_Answer = tuple[tuple[str, ...], Callable[[_Question], list[Row]]]
_ANSWERS: Mapping[ShowWhat, _Answer] = {
    ShowWhat.DATABASES: (("namespace",), _databases),
    ShowWhat.TABLES: (("namespace", "tableName", "isTemporary"), _tables),
    ShowWhat.VIEWS: (("namespace", "viewName", "isTemporary"), _views),
    ShowWhat.COLUMNS: (("col_name",), _columns),
    ShowWhat.PARTITIONS: (("partition",), _partitions),
    ShowWhat.CREATE_TABLE: (("createtab_stmt",), _create_table),
    ShowWhat.TABLE_PROPERTIES: (("key", "value"), _properties),
    ShowWhat.CURRENT_DATABASE: (("namespace",), _current_database),
    ShowWhat.FUNCTIONS: (("function",), _functions),
    ShowWhat.DESCRIBE_TABLE: (("col_name", "data_type", "comment"), _describe_table),
    ShowWhat.DESCRIBE_DATABASE: (("info_name", "info_value"), _describe_database),
}
