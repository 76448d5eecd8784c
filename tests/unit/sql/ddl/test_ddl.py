"""DDL as commands of the catalog."""

from __future__ import annotations

import pytest

from sql.errors import ColumnCountError, SqlError, SqlSyntaxError, UnsupportedStatementError
from sql.statement import Show, ShowWhat
from storage.catalog.commands import (
    Command,
    CreateDatabase,
    CreateTable,
    CreateView,
    DropDatabase,
    DropTable,
)
from storage.catalog.definitions import Column, TableFormat
from tests.support.statements import prepared, table_name


def column(name: str, type_: str, *, comment: str | None = None, nullable: bool = True) -> Column:
    return Column(name=name, type=type_, comment=comment, nullable=nullable)


@pytest.mark.parametrize(
    ("sql", "command"),
    [
        ("CREATE DATABASE New", CreateDatabase(name="new")),
        (
            "CREATE SCHEMA IF NOT EXISTS `d-1` COMMENT 'it''s'",
            CreateDatabase(name="d-1", if_not_exists=True, comment="it's"),
        ),
        ("DROP DATABASE d", DropDatabase(name="d")),
        ("DROP SCHEMA IF EXISTS d CASCADE", DropDatabase(name="d", if_exists=True, cascade=True)),
        ("DROP TABLE T", DropTable(database="sales", name="t")),
        ("DROP TABLE IF EXISTS web.t", DropTable(database="web", name="t", if_exists=True)),
        ("DROP VIEW v", DropTable(database="sales", name="v", view=True)),
        (
            "CREATE TABLE t (Id BIGINT NOT NULL COMMENT 'key', m MAP<STRING, ARRAY<INT>>)",
            CreateTable(
                database="sales",
                name="t",
                columns=(
                    column("Id", "bigint", nullable=False, comment="key"),
                    column("m", "map<string, array<int>>"),
                ),
            ),
        ),
        (
            "CREATE OR REPLACE TABLE web.t USING CSV OPTIONS (header 'true', 'Sep' = ';')"
            " PARTITIONED BY (day) COMMENT 'c' LOCATION 's3://b/x'",
            CreateTable(
                database="web",
                name="t",
                format=TableFormat.CSV,
                options=(("header", "true"), ("sep", ";")),
                partitioned_by=("day",),
                comment="c",
                location="s3://b/x",
                or_replace=True,
            ),
        ),
        (
            "CREATE EXTERNAL TABLE IF NOT EXISTS t (day DATE, a INT) USING parquet"
            " PARTITIONED BY (day) LOCATION '/data/t'",
            CreateTable(
                database="sales",
                name="t",
                columns=(column("a", "int"), column("day", "date")),
                partitioned_by=("day",),
                location="/data/t",
                if_not_exists=True,
            ),
        ),
        (
            "CREATE TABLE t (a INT) USING json PARTITIONED BY (p STRING) LOCATION '/t'",
            CreateTable(
                database="sales",
                name="t",
                columns=(column("a", "int"), column("p", "string")),
                format=TableFormat.JSON,
                partitioned_by=("p",),
                location="/t",
            ),
        ),
        (
            "CREATE TABLE t USING parquet OPTIONS (path '/data/x')",
            CreateTable(database="sales", name="t", location="/data/x"),
        ),
        (
            "CREATE OR REPLACE VIEW v (a COMMENT 'first', b) COMMENT 'two'"
            " AS SELECT id, count(1) /* all */ FROM orders GROUP BY id -- done",
            CreateView(
                database="sales",
                name="v",
                columns=(column("a", "bigint", comment="first"), column("b", "bigint")),
                sql="SELECT id, count(1) /* all */ FROM orders GROUP BY id",
                or_replace=True,
                comment="two",
            ),
        ),
        (
            "CREATE VIEW IF NOT EXISTS web.v AS SELECT id FROM orders",
            CreateView(
                database="web",
                name="v",
                columns=(column("id", "bigint"),),
                sql="SELECT id FROM `sales`.orders",
                if_not_exists=True,
            ),
        ),
        (
            "CREATE VIEW v AS SELECT * FROM customers -- all",
            CreateView(
                database="sales",
                name="v",
                columns=(column("id", "bigint"), column("name", "string")),
                sql="SELECT `id`, `name` FROM (SELECT * FROM customers) AS _star",
            ),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_statement_becomes_a_command(sql: str, command: Command) -> None:
    assert prepared(sql).command == command


@pytest.mark.parametrize(
    ("sql", "show"),
    [
        ("SHOW DATABASES", Show(what=ShowWhat.DATABASES)),
        ("SHOW SCHEMAS LIKE 'a*|b*'", Show(what=ShowWhat.DATABASES, pattern="a*|b*")),
        ("SHOW TABLES", Show(what=ShowWhat.TABLES, database="sales")),
        (
            "SHOW TABLES IN web LIKE 'x*'",
            Show(what=ShowWhat.TABLES, database="web", pattern="x*"),
        ),
        ("SHOW VIEWS FROM web", Show(what=ShowWhat.VIEWS, database="web")),
        (
            "SHOW COLUMNS IN orders FROM web",
            Show(what=ShowWhat.COLUMNS, database="web", table=table_name("web.orders")),
        ),
        (
            "SHOW PARTITIONS orders",
            Show(what=ShowWhat.PARTITIONS, database="sales", table=table_name("sales.orders")),
        ),
        (
            "SHOW CREATE TABLE Web.Orders",
            Show(what=ShowWhat.CREATE_TABLE, database="web", table=table_name("web.orders")),
        ),
        (
            "SHOW TBLPROPERTIES orders",
            Show(
                what=ShowWhat.TABLE_PROPERTIES, database="sales", table=table_name("sales.orders")
            ),
        ),
        ("SHOW CURRENT DATABASE", Show(what=ShowWhat.CURRENT_DATABASE, database="sales")),
        ("SHOW SYSTEM FUNCTIONS LIKE 'a*'", Show(what=ShowWhat.FUNCTIONS, pattern="a*")),
        (
            "DESC orders",
            Show(what=ShowWhat.DESCRIBE_TABLE, database="sales", table=table_name("sales.orders")),
        ),
        (
            "DESCRIBE TABLE EXTENDED web.orders",
            Show(
                what=ShowWhat.DESCRIBE_TABLE,
                database="web",
                table=table_name("web.orders"),
                extended=True,
            ),
        ),
        (
            "DESCRIBE SCHEMA EXTENDED web",
            Show(what=ShowWhat.DESCRIBE_DATABASE, database="web", extended=True),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_statement_becomes_a_question(sql: str, show: Show) -> None:
    assert prepared(sql).show == show


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("CREATE TABLE t", "needs columns, or a LOCATION"),
        ("CREATE TABLE t (a INT) USING orc LOCATION '/x'", "no format orc"),
        ("CREATE TABLE t (a INT) USING csv", "a table of our own in csv"),
        ("CREATE TABLE t (a INT, p INT) PARTITIONED BY (p)", "PARTITIONED BY without LOCATION"),
        ("CREATE TABLE t (a INT) PARTITIONED BY (p) LOCATION '/x'", "names p, which is no column"),
        ("CREATE TABLE t PARTITIONED BY (p INT) LOCATION '/x'", "gives types"),
        ("CREATE TABLE t (a INT, A INT) LOCATION '/x'", "the same name"),
        ("CREATE TABLE t (a INT DEFAULT 1)", "DEFAULT on a column"),
        ("CREATE TABLE t (a INT PRIMARY KEY)", "PRIMARYKEY on a column"),
        ("CREATE TABLE t LIKE orders", "LIKE"),
        ("CREATE TABLE t (a INT) TBLPROPERTIES ('a' = 'b')", "in CREATE"),
        ("CREATE TABLE t (a INT) AS SELECT 1 AS a", "has the query's columns"),
        ("CREATE TABLE t LOCATION '/x' AS SELECT 1 AS a", "LOCATION … AS"),
        ("CREATE TABLE nowhere.t AS SELECT 1 AS a", "no database nowhere"),
        ("CREATE DATABASE d LOCATION '/x'", "LOCATION"),
        ("CREATE DATABASE", "a name is expected"),
        ("CREATE DATABASE a b", "'b' fits not here"),
        ("DROP TABLE a.b.c", "two parts at most"),
        ("DROP TABLE t PURGE", "PURGE"),
        ("DROP FUNCTION f", "DROP FUNCTION"),
        ("SHOW COLUMNS orders", "IN and a table are expected"),
        ("SHOW TABLES LIKE x", "a text in quotes"),
        ("DESCRIBE QUERY SELECT 1", "DESCRIBE QUERY"),
        ("CREATE VIEW v (a) AS SELECT 1, 2", "names 1 columns, its query gives 2"),
        ("CREATE VIEW v AS SELECT 1 AS a, 2 AS A", "the same name"),
        ("CREATE VIEW v AS SELECT nope FROM orders", "no column nope"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1 AS a", "in CREATE"),
    ],
)
def test_what_cannot_be_made_says_so(sql: str, message: str) -> None:
    expected = (SqlError, SqlSyntaxError, UnsupportedStatementError, ColumnCountError)
    with pytest.raises(expected, match=message):
        prepared(sql)
