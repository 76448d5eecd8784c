from __future__ import annotations

import pytest

from sql.analysis.bind import bind
from sql.syntax.parse import parse
from tests.support.statements import shop


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT customer, count(*) FROM orders GROUP BY customer",
        "SELECT upper(customer), count(*) FROM orders GROUP BY ALL",
        "SELECT customer, count(*) OVER () FROM orders",
        "SELECT sum(total) + max(id), any_value(customer), 1, current_date() FROM orders",
        "SELECT sum(total) AS s, s + 1 AS t FROM orders",
        "SELECT aggregate(collect_list(id), 0L, (a, x) -> a + x) FROM orders",
        "SELECT max(address.city), sum(CASE WHEN paid THEN total END) FROM orders",
        "SELECT (SELECT max(c.id + o.id) FROM customers c) AS m FROM orders o",
        "SELECT (SELECT max(c.id) + o.id FROM customers c) AS m FROM orders o",
        "SELECT id FROM orders WHERE total = (SELECT max(total) FROM orders)",
        "SELECT max(n), (SELECT count(*) FROM customers) FROM (SELECT id AS n FROM orders)",
        "SELECT count(*) FILTER (WHERE paid), count(DISTINCT id, customer) FROM orders",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders",
    ],
)
def test_what_is_right_passes(sql: str) -> None:
    assert bind(parse(sql), view=shop(), database="sales").scan_tree is not None
