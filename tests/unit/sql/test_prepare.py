"""The whole way from a text to what is known of it."""

from __future__ import annotations

import pickle

import pytest

from sql.analysis.view import CatalogView
from sql.errors import GuardRefusedError
from sql.guard.limits import GuardLimits
from sql.prepare import missing, prepare
from sql.statement import (
    ExplainLevel,
    ShowWhat,
    StatementKind,
    TableName,
    WriteMode,
)
from storage.base.errors import Failure, ServiceError
from storage.catalog.commands import CreateView, DropTable
from tests.support.sql_cases import SqlCase, sql_cases
from tests.support.statements import prepared, shop, table_name
from tests.support.tpc import SUITES, TpcQuery, catalog_view, queries

TPC = [query for suite in SUITES for query in queries(suite)]


@pytest.mark.parametrize("case", sql_cases("errors.sql"), ids=lambda case: case.name)
def test_wrong_statement_says_what_and_where(case: SqlCase) -> None:
    with pytest.raises(ServiceError) as caught:
        prepared(case.sql)
    failure = Failure.of(caught.value)
    code, _, rest = case.expected.partition(" ")
    place, _, hint = rest.partition(" ")
    assert failure.code == code
    if place not in ("", "-", "*"):
        assert f"{failure.line}:{failure.column}" == place
    if hint not in ("", "*"):
        assert failure.hint == hint
    if "*" in (place, hint):
        assert failure.hint


@pytest.mark.parametrize("query", TPC, ids=lambda query: query.name)
def test_tpc_statement_prepares(query: TpcQuery) -> None:
    statement = prepare(
        query.sql, view=catalog_view(query.suite), database=query.suite, limits=GuardLimits()
    )
    assert statement.kind is StatementKind.QUERY
    assert statement.engine_sql is not None
    assert statement.cost is not None
    assert statement.column_names
    assert {str(name) for name in statement.reads} == {
        binding.view for binding in statement.bindings
    }


def test_missing_follows_views_until_nothing_is_left() -> None:
    whole, view, asked = shop(), CatalogView(databases=("sales",)), []
    while names := missing("SELECT * FROM bigger", view=view, database="sales"):
        asked.append([str(name) for name in names])
        found = {**view.relations, **{name: whole.relations[name] for name in names}}
        view = CatalogView(relations=found, databases=("sales",))
    assert asked == [["sales.bigger"], ["sales.big"], ["sales.orders"]]


def test_missing_names_the_target_of_a_write() -> None:
    view = CatalogView(databases=("sales",))
    names = missing("INSERT INTO web.t SELECT * FROM a", view=view, database="sales")
    assert [str(name) for name in names] == ["web.t", "sales.a"]


def test_missing_skips_names_known_to_be_absent() -> None:
    absent = frozenset({table_name("sales.a")})
    assert missing("SELECT 1 FROM a", view=CatalogView(absent=absent), database="sales") == ()


def test_reads_are_what_the_text_names() -> None:
    statement = prepared("SELECT 1 FROM big JOIN web.orders USING (id)")
    assert {str(name) for name in statement.reads} == {"sales.big", "web.orders"}
    assert {binding.view for binding in statement.bindings} == {"sales.orders", "web.orders"}


def test_unused_cte_is_bound_for_the_engine_but_costs_nothing() -> None:
    statement = prepared("WITH a AS (SELECT * FROM orders) SELECT 1 AS one")
    assert [binding.view for binding in statement.bindings] == ["sales.orders"]
    assert statement.cost is not None
    assert statement.cost.tables == ()


def test_insert_knows_its_target() -> None:
    statement = prepared("INSERT OVERWRITE customers VALUES (1, 'x')")
    assert statement.kind is StatementKind.INSERT_OVERWRITE
    assert statement.target is not None
    assert statement.target.mode is WriteMode.OVERWRITE
    assert str(statement.target.table) == "sales.customers"
    assert statement.target.base_snapshot == "snp_sales.customers"


def test_create_table_as_knows_the_types_that_tables_give() -> None:
    statement = prepared(
        "CREATE TABLE fresh COMMENT 'c' AS SELECT id AS Key, day d, 1+1 n FROM orders"
    )
    assert statement.target is not None
    assert [(each.name, each.type) for each in statement.target.columns] == [
        ("Key", "bigint"),
        ("d", "date"),
        ("n", ""),
    ]
    assert statement.target.comment == "c"
    assert statement.target.table_id is None


def test_explain_keeps_kind_and_level() -> None:
    statement = prepared("EXPLAIN COST INSERT INTO customers SELECT 1, 'x'")
    assert statement.kind is StatementKind.EXPLAIN
    assert statement.explains is StatementKind.INSERT
    assert statement.explain_level is ExplainLevel.COST
    assert not statement.kind.writes


def test_commands_and_questions_need_no_engine() -> None:
    dropped = prepared("DROP VIEW IF EXISTS big").command
    assert dropped == DropTable(database="sales", name="big", if_exists=True, view=True)
    asked = prepared("SHOW TABLES").show
    assert asked is not None
    assert asked.what is ShowWhat.TABLES


def test_view_is_checked_when_it_is_made() -> None:
    statement = prepared("CREATE VIEW v AS SELECT id, count(1) n FROM orders GROUP BY id")
    assert isinstance(statement.command, CreateView)
    assert [column.type for column in statement.command.columns] == ["bigint", "bigint"]
    assert statement.reads == (TableName(database="sales", name="orders"),)


def test_cap_on_bytes_refuses_after_pricing() -> None:
    with pytest.raises(GuardRefusedError) as caught:
        prepared("SELECT reflect('java.lang.System', 'exit') AS a FROM orders")
    assert caught.value.details["rule"] == "reaches_outside"
    assert caught.value.details["bytes_processed"] == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT id FROM orders WHERE id = 1", "select  ID from Orders\nwhere id=2 -- x"),
        ("SELECT 'a' AS x", "SELECT 'b' AS x"),
        ("EXPLAIN SELECT 1", "SELECT 2"),
    ],
)
def test_fingerprint_ignores_literals_case_and_blanks(one: str, other: str) -> None:
    assert prepared(one).fingerprint == prepared(other).fingerprint


def test_fingerprint_tells_columns_apart() -> None:
    assert (
        prepared("SELECT id FROM orders").fingerprint
        != prepared("SELECT day FROM orders").fingerprint
    )


def test_columns_are_named_as_they_are_written() -> None:
    sql = "SELECT *, Id AS Key, Total, o.Address.City, count(1) OVER () FROM orders o"
    assert prepared(sql).column_names == (
        "id", "customer", "total", "day", "tags", "address", "paid",
        "Key", "Total", "City", "count(1) OVER ()",
    )  # fmt: skip


def test_columns_of_a_generator_are_known_to_the_engine_only() -> None:
    assert prepared("SELECT posexplode(tags) FROM orders").column_names == ()


def test_prepared_statement_crosses_processes() -> None:
    statement = prepared("INSERT INTO customers SELECT id, customer FROM orders")
    assert pickle.loads(pickle.dumps(statement)) == statement  # noqa: S301


def test_view_of_the_catalog_crosses_processes() -> None:
    view = shop()
    assert pickle.loads(pickle.dumps(view)).databases == view.databases  # noqa: S301
