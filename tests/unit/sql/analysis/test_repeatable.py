"""Which queries give the same rows again, by what they call and where they cut."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sql.statement import Repeatable
from storage.catalog.definitions import Column
from tests.support.statements import prepared, shop, table_name
from tests.support.tpc import view_of


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM orders",
        "SELECT customer, sum(total) FROM orders GROUP BY customer",
        "SELECT max(id) FROM orders WHERE day < DATE '2026-01-01' ORDER BY 1",
        "SELECT rank() OVER (ORDER BY total) FROM orders",
        "SELECT unix_timestamp(day) FROM orders",
        "SELECT count(*) AS `now` FROM orders",
    ],
)
def test_what_only_reads_is_repeatable(sql: str) -> None:
    assert prepared(sql).repeatable is Repeatable.YES


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT rand()",
        "SELECT random() AS r FROM orders",
        "SELECT id, uuid() FROM orders",
        "SELECT * FROM orders WHERE day = current_date",
        "SELECT * FROM orders WHERE day < current_date()",
        "SELECT now()",
        "SELECT current_timestamp",
        "SELECT unix_timestamp()",
        "SELECT current_user()",
        "SELECT monotonically_increasing_id() FROM orders",
        "SELECT * FROM orders LIMIT 10",
        "SELECT count(*) FROM (SELECT id FROM orders LIMIT 10)",
        "WITH o AS (SELECT shuffle(tags) AS t FROM orders) SELECT t FROM o",
        "SELECT id FROM orders TABLESAMPLE (10 PERCENT)",
    ],
)
def test_chance_clock_and_loose_limits_are_not(sql: str) -> None:
    assert prepared(sql).repeatable is Repeatable.NO


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM orders ORDER BY id LIMIT 10",
        "SELECT row_number() OVER (ORDER BY total) FROM orders",
        "SELECT first(id) FROM orders",
        "SELECT any_value(id) FROM orders",
        "SELECT customer, collect_list(id) FROM orders GROUP BY customer",
        "SELECT max_by(id, total) FROM orders",
        "SELECT approx_count_distinct(id) FROM orders",
    ],
)
def test_what_depends_on_ties_is_unsure(sql: str) -> None:
    assert prepared(sql).repeatable is Repeatable.UNSURE


def test_of_a_write_nothing_is_said() -> None:
    assert prepared("CREATE TABLE t AS SELECT 1 AS a").repeatable is Repeatable.UNSURE


def test_what_a_view_calls_counts() -> None:
    shuffled = view_of(
        table_name("sales.lucky"),
        "SELECT id, rand() AS r FROM orders",
        (Column(name="id", type="bigint"), Column(name="r", type="double")),
        database="sales",
    )
    view = replace(shop(), relations={**shop().relations, shuffled.name: shuffled})
    assert prepared("SELECT id FROM big").repeatable is Repeatable.YES
    assert prepared("SELECT r FROM lucky", view=view).repeatable is Repeatable.NO
