"""Sizes and spans as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.base.quantities import QuantityError, format_size, parse_size, parse_span


@pytest.mark.parametrize(
    ("text", "size"),
    [("512", 512), ("0", 0), ("10GB", 10**10), ("64MiB", 64 << 20), ("1.5 kb", 1500),
     (" 2 tib ", 2 << 40), ("0.1KiB", 102), ("7b", 7), ("1pb", 10**15)],
)  # fmt: skip
def test_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "millis"),
    [("250ms", 250), ("10s", 10_000), ("1.5m", 90_000), ("2 h", 7_200_000), ("1d", 86_400_000),
     ("0s", 0), ("5M", 300_000)],
)  # fmt: skip
def test_span_is_read(text: str, millis: int) -> None:
    assert parse_span(text) == timedelta(milliseconds=millis)


@pytest.mark.parametrize(
    "text", ["", "GB", "-1GB", "1,5GB", "1e3", "10 G B", "10XB", "1..5", "٣GB x"]
)
def test_what_is_no_size_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(QuantityError) as told:
        parse_size(text)
    assert told.value.hint


@pytest.mark.parametrize("text", ["", "s", "10", "-1s", "1 s s", "10 weeks", "1e3s"])
def test_what_is_no_span_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(QuantityError) as told:
        parse_span(text)
    assert told.value.hint


@given(st.integers(0, 10**18))
def test_plain_numbers_are_bytes(size: int) -> None:
    assert parse_size(str(size)) == parse_size(f"{size} B") == size


@given(st.integers(0, 10**17))
def test_shown_size_is_within_a_twentieth_of_a_unit(size: int) -> None:
    shown = parse_size(format_size(size))
    assert abs(shown - size) * 20 <= max(size, 20)


@given(st.integers(0, 10**9))
def test_milliseconds_are_exact(millis: int) -> None:
    assert parse_span(f"{millis}ms") == timedelta(milliseconds=millis)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (58_412_345, "58.4 MB"), (10**15, "1.0 PB")],
)
def test_size_is_shown(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize("text", ["1000001d", "99999999999d", "9" * 5000 + "s"])
def test_a_span_that_no_calendar_holds_is_refused(text: str) -> None:
    with pytest.raises(QuantityError, match="1000000d"):
        parse_span(text)
