"""Sizes and spans are read as people write them, and nothing else is."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.base.quantities import (
    QuantityError,
    format_size,
    format_span,
    parse_size,
    parse_span,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("512", 512), ("10GB", 10**10), ("64MiB", 2**26), ("1.5 kB", 1500), ("0", 0)],
)
def test_sizes_have_decimal_and_binary_units(text: str, expected: int) -> None:
    assert parse_size(text) == expected


@pytest.mark.parametrize("text", ["", "-1", "10 XB", "1e3", "1GB 2MB", "١٠x"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(QuantityError):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "10", "-1s", "1 week", "5m3s"])
def test_a_span_needs_its_unit(text: str) -> None:
    with pytest.raises(QuantityError):
        parse_span(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_formatted_span_is_read_back(millis: int) -> None:
    span = timedelta(milliseconds=millis)
    assert parse_span(format_span(span)) == span


@pytest.mark.parametrize(
    ("millis", "expected"), [(0, "0s"), (250, "250ms"), (90_000, "90s"), (7_200_000, "2h")]
)
def test_a_span_is_told_in_its_largest_whole_unit(millis: int, expected: str) -> None:
    assert format_span(timedelta(milliseconds=millis)) == expected


def test_sizes_for_people_are_in_powers_of_ten() -> None:
    assert [format_size(size) for size in (0, 999, 58_412_345, 2**60)] == [
        "0 B", "999 B", "58.4 MB", "1152.9 PB",
    ]  # fmt: skip
