from __future__ import annotations

import itertools

import pytest

from storage.tables.filetypes import decimal_scale, readable_as, widen

TYPES = ["tinyint", "int", "bigint", "float", "double", "decimal(5,2)", "decimal(9,2)",
         "decimal(9,3)", "string", "binary", "timestamp", "timestamp_ntz", "date", "void",
         "array<int>"]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), list(itertools.product(TYPES, TYPES)))
def test_widening_takes_no_side_and_holds_both(first: str, second: str) -> None:
    wide = widen(first, second)
    assert wide == widen(second, first)
    if wide is not None:
        assert readable_as(first, wide)
        assert readable_as(second, wide)


@pytest.mark.parametrize(
    ("first", "second", "wide"),
    [
        ("tinyint", "bigint", "bigint"),
        ("float", "double", "double"),
        ("decimal(5,2)", "decimal(9,2)", "decimal(9,2)"),
        ("decimal(5,2)", "decimal(9,3)", None),
        ("int", "double", None),
        ("int", "string", None),
        ("timestamp", "timestamp_ntz", None),
        ("void", "date", "date"),
    ],
)
def test_types_of_one_family_widen(first: str, second: str, wide: str | None) -> None:
    assert widen(first, second) == wide


def test_reading_never_narrows() -> None:
    assert not readable_as("bigint", "int")
    assert not readable_as("double", "float")
    assert not readable_as("timestamp", "timestamp_ntz")
    assert readable_as("timestamp_ntz", "timestamp")


def test_only_decimals_have_a_scale() -> None:
    assert (decimal_scale("decimal(9,3)"), decimal_scale("int")) == (3, None)
