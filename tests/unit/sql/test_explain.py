"""The lines of an EXPLAIN."""

from __future__ import annotations

from sql.explain import explain_lines
from tests.support.statements import prepared


def test_simple_shows_what_is_touched() -> None:
    lines = explain_lines(prepared("EXPLAIN SELECT id FROM orders"))
    assert lines[:3] == ("Statement: query", "Columns: id", "Processes: 0 bytes (0 B), exact")
    assert "Scan: sales.orders once, 0 bytes" in lines
    assert not any("Engine SQL" in line for line in lines)


def test_extended_shows_the_engine_sql() -> None:
    lines = explain_lines(prepared("EXPLAIN EXTENDED SELECT id FROM orders"))
    assert lines[-2:] == ("Engine SQL:", "  SELECT id FROM `sales.orders` AS `orders`")


def test_write_shows_its_target_and_guards_speak() -> None:
    lines = explain_lines(
        prepared("EXPLAIN INSERT INTO customers SELECT o.id, 'x' FROM orders o, customers")
    )
    assert "Writes: sales.customers (append)" in lines
    assert any(line.startswith("Guard: warn cross_join") for line in lines)


def test_formatted_shows_columns_and_cost_shows_compute() -> None:
    formatted = explain_lines(prepared("EXPLAIN FORMATTED SELECT id FROM orders"))
    assert "  columns: id" in formatted
    cost = explain_lines(prepared("EXPLAIN COST SELECT id FROM orders"))
    assert any(line.startswith("Compute: ") for line in cost)
