"""SHOW and DESCRIBE as questions to the catalog."""

from __future__ import annotations

from sql.statement import Show, ShowWhat, TableName
from sql.syntax.cursor import Cursor
from sql.syntax.kinds import refuse
from sql.syntax.parse import Parsed

_ELSE = "there are SHOW DATABASES, TABLES, VIEWS, COLUMNS, PARTITIONS, CREATE TABLE, TBLPROPERTIES"


def show(parsed: Parsed, *, database: str) -> Show:
    """The question that a SHOW asks; the word SHOW itself is not among the tokens."""
    cursor = Cursor(parsed)
    found = _show(cursor, database)
    cursor.end()
    return found


def describe(parsed: Parsed, *, database: str) -> Show:
    """``DESC[RIBE] [TABLE] [EXTENDED|FORMATTED] t`` and ``… DATABASE|SCHEMA [EXTENDED] d``."""
    cursor = Cursor(parsed)
    cursor.take_any("DESCRIBE", "DESC")
    for word in ("QUERY", "SELECT", "WITH", "FUNCTION"):
        if cursor.take(word):
            refuse(f"DESCRIBE {word}", "EXPLAIN shows the columns of a query")
    if cursor.take_any("DATABASE", "SCHEMA"):
        extended = cursor.take("EXTENDED")
        found = Show(what=ShowWhat.DESCRIBE_DATABASE, database=cursor.name(), extended=extended)
    else:
        cursor.take("TABLE")
        extended = cursor.take_any("EXTENDED", "FORMATTED") is not None
        table = cursor.table(database)
        found = Show(
            what=ShowWhat.DESCRIBE_TABLE, database=table.database, table=table, extended=extended
        )
    cursor.end()
    return found


def _show(cursor: Cursor, database: str) -> Show:
    if cursor.take_any("DATABASES", "SCHEMAS"):
        return Show(what=ShowWhat.DATABASES, pattern=_pattern(cursor))
    if cursor.take("TABLES"):
        return _listing(ShowWhat.TABLES, cursor, database)
    if cursor.take("VIEWS"):
        return _listing(ShowWhat.VIEWS, cursor, database)
    if cursor.take("COLUMNS"):
        return _columns(cursor, database)
    if cursor.take("PARTITIONS"):
        return _of_table(ShowWhat.PARTITIONS, cursor.table(database))
    if cursor.take("CREATE", "TABLE"):
        return _of_table(ShowWhat.CREATE_TABLE, cursor.table(database))
    if cursor.take("TBLPROPERTIES"):
        return _of_table(ShowWhat.TABLE_PROPERTIES, cursor.table(database))
    if cursor.take("CURRENT") and cursor.take_any("NAMESPACE", "DATABASE", "SCHEMA"):
        return Show(what=ShowWhat.CURRENT_DATABASE, database=database.lower())
    cursor.take_any("USER", "SYSTEM", "ALL")
    if cursor.take("FUNCTIONS"):
        return Show(what=ShowWhat.FUNCTIONS, pattern=_pattern(cursor))
    refuse("this SHOW", _ELSE)


def _listing(what: ShowWhat, cursor: Cursor, database: str) -> Show:
    inside = cursor.name() if cursor.take_any("IN", "FROM") else database.lower()
    return Show(what=what, database=inside, pattern=_pattern(cursor))


def _columns(cursor: Cursor, database: str) -> Show:
    if not cursor.take_any("IN", "FROM"):
        cursor.fail("IN and a table are expected here")
    table = cursor.table(database)
    if cursor.take_any("IN", "FROM"):
        table = TableName(database=cursor.name(), name=table.name)
    return _of_table(ShowWhat.COLUMNS, table)


def _of_table(what: ShowWhat, table: TableName) -> Show:
    return Show(what=what, database=table.database, table=table)


def _pattern(cursor: Cursor) -> str | None:
    if cursor.take("LIKE") or cursor.at_string():
        return cursor.string()
    return None
