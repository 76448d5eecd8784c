"""Long conditions become shallow and keep their meaning; shapes out of bounds are refused."""

from __future__ import annotations

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from sql.analysis.shape import MAX_TREE_DEPTH, balance, check_shape
from sql.errors import StatementTooDeepError, StatementTooLargeError

conditions = st.recursive(
    st.integers(0, 5).map(lambda n: f"c{n}"),
    lambda inner: st.tuples(
        st.sampled_from([" AND ", " OR "]), st.lists(inner, min_size=2, max_size=40)
    ).map(lambda pair: "(" + pair[0].join(pair[1]) + ")"),
    max_leaves=80,
)


def value(node: exp.Expr, row: tuple[bool | None, ...]) -> bool | None:
    match node:
        case exp.And():
            both = (value(node.left, row), value(node.right, row))
            return False if False in both else None if None in both else True
        case exp.Or():
            both = (value(node.left, row), value(node.right, row))
            return True if True in both else None if None in both else False
        case exp.Paren():
            return value(node.this, row)
    return row[int(node.name[1:])]


@given(conditions, st.tuples(*[st.sampled_from([True, False, None])] * 6))
@settings(deadline=None)
def test_balancing_keeps_the_value(condition: str, row: tuple[bool | None, ...]) -> None:
    tree = sqlglot.parse_one(f"SELECT 1 WHERE {condition}")
    before = value(tree.args["where"].this, row)
    balance(tree)
    assert value(tree.args["where"].this, row) == before


def test_balanced_chain_is_shallow() -> None:
    tree = sqlglot.parse_one("SELECT 1 WHERE " + " OR ".join(f"a = {n}" for n in range(4096)))
    balance(tree)
    assert max(_depth(leaf) for leaf in tree.find_all(exp.EQ)) <= 16


def _depth(node: exp.Expr) -> int:
    depth = 0
    while node.parent is not None:
        node, depth = node.parent, depth + 1
    return depth


def test_chains_do_not_count_as_depth() -> None:
    check_shape(sqlglot.parse_one("SELECT 1 WHERE " + " AND ".join(["a"] * 5000)))
    check_shape(sqlglot.parse_one(" UNION ALL ".join(["SELECT 1"] * 900)))


def test_depth_and_counts_are_bounded() -> None:
    with pytest.raises(StatementTooDeepError):
        check_shape(sqlglot.parse_one("SELECT " + "+".join(["1"] * (MAX_TREE_DEPTH + 5))))
    with pytest.raises(StatementTooLargeError, match="SELECTs"):
        check_shape(sqlglot.parse_one(" UNION ALL ".join(["SELECT 1"] * 1001)))
    with pytest.raises(StatementTooLargeError, match="stars"):
        check_shape(sqlglot.parse_one("SELECT " + ", ".join(["*"] * 201) + " FROM t"))
