"""Conditions: what can be said, how types are checked, and what NULL makes of them."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.pipelines import conditions
from jobs.pipelines.conditions import ConditionError
from jobs.pipelines.errors import ValueMissingError
from jobs.pipelines.references import Ref
from jobs.pipelines.values import Typed
from storage.base.errors import ServiceError

VALUES = {
    "params.day": Typed(type="date", value="2026-01-02"),
    "params.n": Typed(type="int", value=2),
    "params.text": Typed(type="string", value="a"),
    "params.yes": Typed(type="boolean", value=True),
    "params.none": Typed(type="int", value=None),
    "params.at": Typed(type="timestamp", value="2026-01-02T03:00:00Z"),
    "nodes.load.result.rows": Typed(type="bigint", value=5),
    "nodes.load.result.value": Typed(type="decimal(10,2)", value="1.50"),
    "nodes.load.job_id": Typed(type="string", value="stm_1"),
}
ENDS = {"load": "succeeded", "spare": "failed", "order": "skipped"}


def lookup(ref: Ref) -> Typed | None:
    return VALUES.get(str(ref))


def holds(text: str) -> bool:
    return conditions.read(text).holds(lookup, lambda name: ENDS[name])


@pytest.mark.parametrize(
    "text",
    [
        "params.n = 2",
        "params.n = 2.0",
        "2 <= params.n and params.n < 3",
        "params.n <> 3 and params.n != 3",
        "params.n in (1, 2)",
        "params.n not in (1, 3)",
        "params.n between 1 and 2",
        "params.n > -1",
        "params.day >= '2026-01-01'",
        "params.day = date '2026-01-02'",
        "params.at > '2026-01-02'",
        "params.at < timestamp '2026-01-02T04:00:00Z'",
        "params.day < params.at",
        "params.text = 'a'",
        "params.yes",
        "not not params.yes",
        "params.yes = true",
        "params.none is null",
        "params.n is not null",
        "nodes.load.result.rows > 4 or false",
        "nodes.load.result.value = 1.5",
        "nodes.load.result.value < nodes.load.result.rows",
        "nodes.spare.result.value is null",
        "succeeded(load) and failed(spare) and skipped(order)",
        "SUCCEEDED('load') and failed(nodes.spare)",
        "not succeeded(spare) and (params.none > 1 or params.yes)",
        "true",
        "false or " * 400 + "true",
    ],
)
def test_a_condition_holds(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "params.n = 3",
        "params.none = 1",
        "not params.none = 1",
        "params.none > 1 or params.n = 3",
        "nodes.spare.result.rows >= 0",
        "failed(load)",
        "succeeded(order)",
        "false",
        "null",
    ],
)
def test_a_condition_does_not_hold(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "params.n = 1; drop",
        "now() > 1",
        "succeeded(load, spare)",
        "succeeded(1)",
        "(select 1) = 1",
        "exists(select 1 from t)",
        "params.n + 1 = 2",
        "params.text like 'a%'",
        "case when true then true end",
        "nodes.load.rows = 1",
        "n = 1",
        "params.a.b.c.d = 1",
        "params.n is true",
        "cast(params.n as string) = '1'",
        "date 'soon' = params.day",
        "params.n = array(1)",
        "params.n = :n",
        "*",
        "(" * 100 + "true" + ")" * 100,
        "true or " * 2000 + "true",
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises((ConditionError, ServiceError)):
        conditions.read(text)


@pytest.mark.parametrize(
    "text", ["params.n = 'x'", "params.n", "params.text and true", "params.day > 5", "'a'"]
)
def test_types_that_cannot_meet_are_refused_before_and_at_the_run(text: str) -> None:
    condition = conditions.read(text)
    with pytest.raises(ConditionError):
        conditions.check(condition, lambda ref: VALUES[str(ref)].type)
    with pytest.raises(ValueMissingError):
        condition.holds(lookup, lambda name: ENDS[name])


def test_a_type_that_nobody_knows_is_checked_at_the_run() -> None:
    condition = conditions.read("nodes.load.result.value = 'x'")
    conditions.check(condition, lambda ref: None)
    with pytest.raises(ValueMissingError, match=r"decimal\(10,2\) and string"):
        condition.holds(lookup, lambda name: ENDS[name])


@pytest.mark.parametrize(
    ("type_", "value", "other"),
    [
        ("double", "NaN", "1"),
        ("date", "-0001-01-01", "date '2026-01-01'"),
        ("date", "+10000-01-01", "timestamp '2026-01-01T00:00:00Z'"),
        ("timestamp", "-31073-01-01T00:00:00Z", "'2026-01-01'"),
    ],
)
def test_what_has_no_order_is_refused_at_the_run(type_: str, value: str, other: str) -> None:
    condition = conditions.read(f"nodes.a.result.value < {other}")
    with pytest.raises(ValueMissingError, match="cannot be compared"):
        condition.holds(lambda _: Typed(type=type_, value=value), lambda _: "succeeded")


def test_what_a_condition_names_is_known() -> None:
    text = "succeeded(a) or nodes.b.result.rows > params.n and failed(c)"
    condition = conditions.read(text)
    assert condition.nodes() == {"a", "b", "c"}
    assert [str(ref) for ref in condition.refs()] == ["nodes.b.result.rows", "params.n"]


LEAVES = st.sampled_from(["true", "false", "null"])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda text: f"(not {text})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
    ),
    max_leaves=12,
)


@given(TREES)
def test_three_values_are_as_in_sql(text: str) -> None:
    row = duckdb.execute(f"SELECT {text}").fetchone()
    assert row is not None
    assert holds(text) is (row[0] is True)


@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        conditions.read(text)
    except (ConditionError, ServiceError):
        return
