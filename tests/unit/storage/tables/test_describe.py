from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.tables.describe import bound_text


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (125, "decimal(9,2)", "1.25"),
        (-5, "decimal(9,3)", "-0.005"),
        (10**37, "decimal(38,0)", "1" + "0" * 37),
        (0, "boolean", "false"),
        (-1, "date", "1969-12-31"),
        (1_500_000, "timestamp", "1970-01-01T00:00:01.500000Z"),
        (0, "timestamp_ntz", "1970-01-01T00:00:00"),
        (2**62, "timestamp", str(2**62)),
        (10**9, "date", "1000000000"),
        (-3, "bigint", "-3"),
        (0.5, "double", "0.5"),
        ("x", "string", "x"),
    ],
)
def test_bounds_are_written_as_values_of_their_type(value: object, kind: str, text: str) -> None:
    assert bound_text(value, kind) == text


@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38))
def test_no_digit_of_a_decimal_is_lost(unscaled: int, scale: int) -> None:
    text = bound_text(unscaled, f"decimal(38,{scale})")
    assert "E" not in text
    assert int(Decimal(text).as_tuple().digits[-1]) == abs(unscaled) % 10
    assert text.replace(".", "").replace("-", "").lstrip("0") == str(abs(unscaled)).lstrip("0")
