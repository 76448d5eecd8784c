"""Values keep their types on the way from a file to a statement."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.pipelines.errors import ValueMissingError
from jobs.pipelines.values import (
    Family,
    Typed,
    comparable,
    known_type,
    read_value,
    sql_value,
    text_of,
)
from sql.syntax.parameters import literal


@pytest.mark.parametrize(
    ("type_", "given", "kept"),
    [
        ("string", "a", "a"),
        ("int", "5", 5),
        ("int", 5, 5),
        ("bigint", 2**40, 2**40),
        ("double", "1.5", 1.5),
        ("double", 2, 2.0),
        ("boolean", "TRUE", True),
        ("date", "2026-01-31", "2026-01-31"),
        ("date", {"type": "date", "value": "2026-01-31"}, "2026-01-31"),
        ("timestamp", "2026-01-31T01:02:03Z", "2026-01-31T01:02:03Z"),
        ("decimal(5,2)", "1.25", "1.25"),
        ("decimal(5,2)", 1, "1"),
        ("date", None, None),
    ],
)
def test_a_value_is_read_by_its_type(type_: str, given: object, kept: object) -> None:
    assert read_value(type_, given) == kept


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        ("string", 5),
        ("int", 2**31),
        ("int", 1.5),
        ("int", True),
        ("double", "nan"),
        ("boolean", "yes"),
        ("boolean", 1),
        ("date", "31.1.2026"),
        ("date", 20260131),
        ("date", {"type": "string", "value": "2026-01-31"}),
        ("date", {"value": "2026-01-31"}),
        ("timestamp", "soon"),
        ("decimal(5,2)", "1.255"),
        ("decimal(5,2)", "1000"),
        ("decimal(5,2)", "x"),
        ("string", ["a"]),
    ],
)
def test_a_value_of_another_type_is_refused(type_: str, given: object) -> None:
    with pytest.raises(ValueError, match="is"):
        read_value(type_, given)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("Integer", "int"),
        ("LONG", "bigint"),
        ("decimal( 5 , 2 )", "decimal(5,2)"),
        ("decimal(2,5)", None),
        ("array<int>", None),
    ],
)
def test_types_have_one_name(name: str, kept: str | None) -> None:
    assert known_type(name) == kept


SAMPLES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(st.characters(exclude_categories=["Cs"])),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "date": st.dates().map(dt.date.isoformat),
    "timestamp": st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat),
    "decimal(38,9)": st.decimals(-1000, 1000, places=9).map(lambda value: f"{value:f}"),
}
TYPED = st.sampled_from(sorted(SAMPLES)).flatmap(
    lambda type_: SAMPLES[type_].map(lambda value: Typed(type=type_, value=value))
)


@given(TYPED)
def test_every_value_is_a_parameter_of_a_statement(value: Typed) -> None:
    literal(":x", sql_value(Typed(type=value.type, value=read_value(value.type, value.value))))


@given(TYPED)
def test_a_value_comes_back_from_its_text(value: Typed) -> None:
    kept = read_value(value.type, value.value)
    assert read_value(value.type, text_of(Typed(type=value.type, value=kept))) == kept


def test_values_are_compared_by_what_they_are() -> None:
    day = Typed(type="date", value="2026-01-31")
    assert comparable(day) == dt.date(2026, 1, 31)
    text = Typed(type="string", value="2026-01-31")
    assert comparable(text, wanted=Family.DATE) == comparable(day)
    assert comparable(text, wanted=Family.TIMESTAMP) == dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    assert comparable(Typed(type="bigint", value="10")) > comparable(Typed(type="int", value=9))
    assert comparable(Typed(type="int", value=None)) is None
    with pytest.raises(ValueMissingError):
        comparable(Typed(type="array<int>", value="[1]"))
    with pytest.raises(ValueMissingError):
        comparable(Typed(type="string", value="soon"), wanted=Family.DATE)
