"""Names, columns and types; errors are in errors.sql."""

from __future__ import annotations

import pytest
from sqlglot import exp

from sql.analysis.names import relation_of
from sql.analysis.schema import ddl_type
from sql.analysis.view import CatalogView
from sql.errors import (
    ColumnNotFoundError,
    StatementTooDeepError,
    TypeMismatchError,
    UnsupportedStatementError,
    ViewBrokenError,
)
from storage.catalog.definitions import Column
from tests.support.statements import bound, shop, table_name
from tests.support.tpc import empty_table, view_of


def scanned(sql: str) -> list[str]:
    tree = bound(sql).scan_tree
    assert tree is not None
    assert not list(tree.find_all(exp.With))
    return sorted(str(relation_of(table)) for table in tree.find_all(exp.Table))


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1 FROM orders", ["sales.orders"]),
        ("SELECT 1 FROM ORDERS a JOIN Web.Orders b USING (id)", ["sales.orders", "web.orders"]),
        ("WITH c AS (SELECT id FROM orders) SELECT 1 FROM c a JOIN c b USING (id)",
         ["sales.orders", "sales.orders"]),
        ("WITH c AS (SELECT 1 AS a FROM orders) SELECT 1 AS one", []),
        ("WITH orders AS (SELECT id FROM orders) SELECT id FROM orders", ["sales.orders"]),
        ("WITH a AS (SELECT id FROM orders), b AS (WITH a AS (SELECT id FROM customers)"
         " SELECT id FROM a) SELECT 1 FROM a, b", ["sales.customers", "sales.orders"]),
        ("SELECT 1 FROM big WHERE id IN (SELECT key FROM bigger)",
         ["sales.orders", "sales.orders"]),
        ("WITH b AS (SELECT id FROM customers) SELECT 1 FROM bigger", ["sales.orders"]),
        ("SELECT id FROM orders UNION ALL SELECT id FROM web.orders",
         ["sales.orders", "web.orders"]),
        ("WITH RECURSIVE n(i) AS (SELECT id FROM customers UNION ALL SELECT i + 1 FROM n"
         " JOIN orders ON id = i) SELECT * FROM n", ["sales.customers", "sales.orders"]),
        ("SELECT * FROM range(3) JOIN customers USING (id)", ["range"]),
        ("SELECT (SELECT max(id) FROM customers) FROM orders",
         ["sales.customers", "sales.orders"]),
        ("INSERT INTO customers TABLE web.orders", ["web.orders"]),
    ],
)  # fmt: skip
def test_scans_of(sql: str, tables: list[str]) -> None:
    if tables == ["range"]:
        tree = bound(sql).scan_tree
        assert tree is not None
        assert [relation_of(table) for table in tree.find_all(exp.Table)].count(None) == 1
        return
    assert scanned(sql) == tables


def test_every_column_of_the_scan_tree_has_its_source() -> None:
    tree = bound("SELECT *, upper(customer) FROM orders o WHERE day > '2026-01-01'").scan_tree
    assert tree is not None
    assert {column.table for column in tree.find_all(exp.Column)} == {"o"}
    assert not list(tree.find_all(exp.Star))


def test_columns_have_the_types_of_the_catalog() -> None:
    output = bound(
        "SELECT id, total AS t, address.city, tags[0] AS tag, id + 1 AS i FROM orders"
    ).output
    assert [column.name for column in output] == ["id", "t", "city", "tag", "i"]
    assert [ddl_type(column.type) if column.type else None for column in output] == [
        "bigint", "decimal(15, 2)", "string", "string", "bigint",
    ]  # fmt: skip
    assert [column.from_table for column in output] == [True, True, False, False, False]


def test_a_column_of_a_subquery_has_no_sure_type() -> None:
    assert not bound("SELECT a FROM (SELECT avg(total) AS a FROM orders)").output[0].from_table


def test_star_within_exists_reads_no_column() -> None:
    tree = bound(
        "SELECT 1 AS a FROM orders o WHERE EXISTS (SELECT * FROM customers c WHERE c.id = o.id)"
    ).scan_tree
    assert tree is not None
    assert {column.name for column in tree.find_all(exp.Column)} == {"id"}


def test_view_may_refer_to_another_database() -> None:
    view = shop()
    far = view_of(
        table_name("sales.far"),
        "SELECT id FROM orders",
        (Column(name="id", type="bigint"),),
        database="web",
    )
    view = CatalogView(relations={**view.relations, far.name: far}, databases=view.databases)
    tree = bound("SELECT * FROM far", view=view).scan_tree
    assert tree is not None
    assert [str(relation_of(table)) for table in tree.find_all(exp.Table)] == ["web.orders"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nope FROM orders",
        "SELECT * FROM gone",
        "SELECT * FROM loop",
        "DROP TABLE orders",
        "SELECT (",
        "SELECT id, day FROM orders",
    ],
)
def test_broken_view_is_named(sql: str) -> None:
    view = shop()
    broken = view_of(
        table_name("sales.loop"), sql, (Column(name="id", type="bigint"),), database="sales"
    )
    relations = {**view.relations, broken.name: broken}
    with pytest.raises(ViewBrokenError, match=r"sales\.loop"):
        bound("SELECT * FROM loop", view=CatalogView(relations=relations, databases=view.databases))


def test_views_are_followed_to_a_depth() -> None:
    columns = (Column(name="id", type="bigint"),)
    chain = [view_of(table_name("sales.v0"), "SELECT id FROM orders", columns, database="sales")]
    chain += [
        view_of(table_name(f"sales.v{n}"), f"SELECT id FROM v{n - 1}", columns, database="sales")
        for n in range(1, 40)
    ]
    view = shop()
    view = CatalogView(relations={**view.relations, **{each.name: each for each in chain}})
    assert bound("SELECT * FROM v10", view=view).output
    with pytest.raises(ViewBrokenError):
        bound("SELECT * FROM v39", view=view)


def test_lateral_alias_is_understood() -> None:
    assert len(bound("SELECT id + 1 AS a, a * 2 AS b FROM orders").output) == 2


def test_doubling_aliases_are_stopped() -> None:
    chain = ", ".join(f"x{n} + x{n} AS x{n + 1}" for n in range(16))
    with pytest.raises(StatementTooDeepError):
        bound(f"SELECT id AS x0, {chain} FROM orders")


def test_doubling_ctes_are_stopped() -> None:
    chain = ", ".join(f"c{n + 1} AS (SELECT 1 AS a FROM c{n} x, c{n} y)" for n in range(40))
    with pytest.raises(StatementTooDeepError):
        bound(f"WITH c0 AS (SELECT 1 AS a), {chain} SELECT * FROM c40")


def test_long_chain_of_ctes_is_no_growth() -> None:
    chain = ", ".join(f"c{n + 1} AS (SELECT id, id + {n} AS a FROM c{n})" for n in range(100))
    assert bound(f"WITH c0 AS (SELECT id FROM orders), {chain} SELECT * FROM c100").output


def test_recursion_needs_names() -> None:
    with pytest.raises(UnsupportedStatementError):
        bound(
            "WITH RECURSIVE n AS (SELECT * FROM orders UNION ALL SELECT * FROM n) SELECT * FROM n"
        )


@pytest.mark.parametrize(
    "condition", ["id", "'x'", "day", "id + 1", "NOT customer", "paid AND total", "tags"]
)
def test_condition_must_be_boolean(condition: str) -> None:
    with pytest.raises(TypeMismatchError, match="not boolean"):
        bound(f"SELECT id FROM orders WHERE {condition}")


@pytest.mark.parametrize(
    "condition", ["paid", "NULL", "id = 1 OR paid", "exists(tags, x -> x = 'a')", "id IN (1)"]
)
def test_boolean_condition_passes(condition: str) -> None:
    assert bound(f"SELECT id FROM orders WHERE {condition}").output


def test_the_bound_tree_is_not_the_parsed_one() -> None:
    statement = bound("SELECT * FROM big")
    assert statement.query is not None
    assert statement.query.sql("spark") == "SELECT * FROM big"
    assert [str(name) for name in statement.views] == ["sales.big"]


def test_columns_of_a_table_are_found_in_any_case() -> None:
    mixed = empty_table(table_name("sales.mixed"), (Column(name="OrderKey", type="bigint"),))
    view = CatalogView(relations={mixed.name: mixed}, databases=("sales",))
    assert bound("SELECT ORDERKEY FROM mixed", view=view).output[0].name == "ORDERKEY"
    assert bound("SELECT * FROM mixed", view=view).output[0].name == "OrderKey"
    with pytest.raises(ColumnNotFoundError):
        bound("SELECT Order_Key FROM mixed", view=view)
