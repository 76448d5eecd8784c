"""CREATE and DROP of databases, DROP of tables and views."""

from __future__ import annotations

from sql.statement import StatementKind
from sql.syntax.cursor import Cursor
from sql.syntax.kinds import refuse
from sql.syntax.parse import Parsed
from storage.catalog.commands import CreateDatabase, DropDatabase, DropTable


def create_database(parsed: Parsed) -> CreateDatabase:
    """``CREATE DATABASE|SCHEMA [IF NOT EXISTS] d [COMMENT 'text']``."""
    cursor = Cursor(parsed)
    cursor.expect("CREATE")
    cursor.take_any("DATABASE", "SCHEMA")
    if_not_exists = cursor.take("IF", "NOT", "EXISTS")
    name = cursor.name()
    comment = cursor.string() if cursor.take("COMMENT") else None
    for words in (("LOCATION",), ("WITH", "DBPROPERTIES"), ("MANAGED",)):
        if cursor.take(*words):
            refuse(f"CREATE DATABASE … {' '.join(words)}")
    cursor.end()
    return CreateDatabase(name=name, if_not_exists=if_not_exists, comment=comment)


def drop_database(parsed: Parsed) -> DropDatabase:
    """``DROP DATABASE|SCHEMA [IF EXISTS] d [RESTRICT|CASCADE]``."""
    cursor = Cursor(parsed)
    cursor.expect("DROP")
    cursor.take_any("DATABASE", "SCHEMA")
    if_exists = cursor.take("IF", "EXISTS")
    name = cursor.name()
    cascade = cursor.take_any("CASCADE", "RESTRICT") == "CASCADE"
    cursor.end()
    return DropDatabase(name=name, if_exists=if_exists, cascade=cascade)


def drop_table(parsed: Parsed, *, database: str) -> DropTable:
    """``DROP TABLE|VIEW [IF EXISTS] [d.]t [PURGE]``."""
    cursor = Cursor(parsed)
    cursor.expect("DROP")
    cursor.take_any("TABLE", "VIEW")
    if_exists = cursor.take("IF", "EXISTS")
    table = cursor.table(database)
    if cursor.take("PURGE"):
        refuse("DROP TABLE … PURGE", "files of a dropped table are removed by themselves")
    cursor.end()
    return DropTable(
        database=table.database,
        name=table.name,
        if_exists=if_exists,
        view=parsed.kind is StatementKind.DROP_VIEW,
    )
