"""A small catalog, and shortcuts to understand statements over it."""

from __future__ import annotations

from sql.analysis.bind import BoundStatement, bind
from sql.analysis.view import CatalogView
from sql.guard.limits import GuardLimits
from sql.prepare import prepare
from sql.statement import PreparedStatement, TableName
from sql.syntax.parameters import Parameters, bind_parameters
from sql.syntax.parse import parse
from storage.catalog.definitions import Column, TableKind
from tests.support.tpc import empty_table, view_of


def table_name(text: str) -> TableName:
    """``sales.orders`` as a value."""
    database, name = text.split(".")
    return TableName(database=database, name=name)


ORDERS = (
    Column(name="id", type="bigint", nullable=False),
    Column(name="customer", type="string"),
    Column(name="total", type="decimal(15,2)"),
    Column(name="day", type="date"),
    Column(name="tags", type="array<string>"),
    Column(name="address", type="struct<city:string,zip:int>"),
    Column(name="paid", type="boolean"),
)
CUSTOMERS = (Column(name="id", type="bigint"), Column(name="name", type="string"))


def shop() -> CatalogView:
    """``sales.orders`` (external), ``sales.customers`` (managed), views, and ``web.orders``."""
    relations = [
        empty_table(table_name("sales.orders"), ORDERS),
        empty_table(table_name("sales.customers"), CUSTOMERS, kind=TableKind.MANAGED),
        empty_table(table_name("sales.ledger"), ORDERS, kind=TableKind.MANAGED),
        empty_table(table_name("web.orders"), CUSTOMERS),
        view_of(
            table_name("sales.big"),
            "SELECT id, total FROM orders WHERE total > 100",
            (Column(name="id", type="bigint"), Column(name="total", type="decimal(15,2)")),
            database="sales",
        ),
        view_of(
            table_name("sales.bigger"),
            "WITH b AS (SELECT * FROM big) SELECT id AS key, count(1) FROM b GROUP BY id",
            (Column(name="key", type="bigint"), Column(name="n", type="bigint")),
            database="sales",
        ),
    ]
    return CatalogView(
        relations={relation.name: relation for relation in relations},
        databases=("default", "sales", "web"),
        similar={table_name("sales.ordres"): ("sales.orders",)},
    )


def bound(
    sql: str, *, view: CatalogView | None = None, parameters: Parameters = ()
) -> BoundStatement:
    """``sql`` bound in the database sales of the shop."""
    parsed = parse(sql)
    bind_parameters(parsed.tree, parameters)
    return bind(parsed, view=view or shop(), database="sales")


def prepared(
    sql: str,
    *,
    view: CatalogView | None = None,
    parameters: Parameters = (),
    limits: GuardLimits | None = None,
) -> PreparedStatement:
    """``sql`` prepared in the database sales of the shop."""
    return prepare(
        sql,
        view=view or shop(),
        database="sales",
        parameters=parameters,
        limits=limits or GuardLimits(),
    )
