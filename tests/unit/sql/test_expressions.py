"""Conditions outside of statements: their tree, and what is refused."""

from __future__ import annotations

import pytest

from sql.errors import SqlSyntaxError
from sql.expressions import Node, Operator, read_condition
from storage.base.errors import ServiceError


def value(type_: str, told: object) -> Node:
    return Node(operator=Operator.VALUE, value=(type_, told))


def test_a_condition_becomes_a_small_tree() -> None:
    tree = read_condition("a.b.c >= -1.5 AND NOT f(x) or a.d is not null")
    name = Node(operator=Operator.NAME, names=("a", "b", "c"))
    least = Node(operator=Operator.GE, inner=(name, value("decimal(38,18)", "-1.5")))
    call = Node(operator=Operator.NOT, inner=(Node(operator=Operator.CALL, names=("f", "x")),))
    null = Node(operator=Operator.IS_NULL, inner=(Node(operator=Operator.NAME, names=("a", "d")),))
    both = Node(operator=Operator.AND, inner=(least, call))
    assert tree == Node(
        operator=Operator.OR, inner=(both, Node(operator=Operator.NOT, inner=(null,)))
    )


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("'it''s'", value("string", "it's")),
        ("date '2026-01-01'", value("date", "2026-01-01")),
        ("timestamp '2026-01-01 00:00:00'", value("timestamp", "2026-01-01 00:00:00")),
        ("true", value("boolean", True)),
        ("null", Node(operator=Operator.VALUE, value=None)),
        ("((7))", value("decimal(38,18)", "7")),
        ("`order`", Node(operator=Operator.NAME, names=("order",))),
        ("x in (1)", read_condition("x = 1")),
        ("x in (1, 2)", read_condition("x = 1 or x = 2")),
        ("x between 1 and 2", read_condition("x >= 1 and x <= 2")),
        ("true -- and false", value("boolean", True)),
    ],
)
def test_parts_of_conditions(text: str, node: Node) -> None:
    assert read_condition(text) == node


@pytest.mark.parametrize(
    "text",
    ["", "a +", "a + 1", "a; b", "(select 1)", "x in (select 1)", "f(1)", "f(a.b, g())", "*",
     "case when a then b end", "a::int", "cast(a as int)", "a.b[0]", "upper(a)", ":p", "?",
     "count(*) over ()", "a = b = c like d", "interval 1 day", "'a' || 'b'"],
)  # fmt: skip
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(ServiceError):
        read_condition(text)


def test_long_chains_are_read_and_longer_texts_refused() -> None:
    assert len(read_condition(" or ".join(["a"] * 700)).inner) == 700
    with pytest.raises(ServiceError, match="characters"):
        read_condition("a or " * 1000 + "a")
    with pytest.raises(SqlSyntaxError, match="cannot have ADD"):
        read_condition("a = 1 + 1")
