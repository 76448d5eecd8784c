"""Sizes and spans as people write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.base.errors import InvalidInputError
from storage.base.quantities import (
    AMOUNT_PATTERN,
    LARGEST,
    LONGEST_SPAN,
    SIZE_PATTERN,
    SPAN_PATTERN,
    InvalidAmountError,
    QuantityError,
    format_size,
    parse_amount,
    parse_size,
    parse_span,
)


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
    "text", ["", "GB", "-1GB", "1,5GB", "1e3", "10 G B", "10XB", "1..5", "٣GB", "1GB\n", "1\u212aB"]
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


@pytest.mark.parametrize(
    ("text", "nanos"),
    [("0", 0), ("0.05", 50_000_000), ("007.5", 7_500_000_000), ("0.0000000010000", 1),
     ("9223372036.854775807", LARGEST), ("0" * 5000 + "1", 10**9)],
)  # fmt: skip
def test_amount_is_read(text: str, nanos: int) -> None:
    assert parse_amount(text) == nanos


@pytest.mark.parametrize(
    "text",
    ["", "five", "-1", "+1", " 1", "1\n", ".5", "5.", "1_0", "1 0", "\u0661", "NaN", "inf", "1e2",
     "0.0000000001", "0.05" + "0" * 35 + "1", "9223372036.854775808", "9" * 5000],
)  # fmt: skip
def test_unreadable_amounts_are_refused(text: str) -> None:
    with pytest.raises(InvalidAmountError) as told:
        parse_amount(text)
    assert len(told.value.message) < 150


#: By a published pattern: the parser that has to agree, and what it says where the range ends.
_READ: dict[str, tuple[Callable[[str], object], str]] = {
    SIZE_PATTERN: (parse_size, ""),
    SPAN_PATTERN: (parse_span, f"more than {LONGEST_SPAN.days}d"),
    AMOUNT_PATTERN: (parse_amount, "not an amount of money from 0 to 9223372036"),
}
_PATTERNS = st.sampled_from(sorted(_READ))
_NEAR = st.from_regex(r"\s?[-+]?\d{0,3}[.,]?\d{0,12}\s?[a-zA-Z]{0,4}\s?", fullmatch=True)


@given(
    _PATTERNS.flatmap(lambda each: st.tuples(st.just(each), st.from_regex(each, fullmatch=True)))
)
def test_what_a_pattern_takes_is_read_unless_it_is_out_of_range(given_: tuple[str, str]) -> None:
    pattern, text = given_
    parse, out_of_range = _READ[pattern]
    refused = ""
    try:
        parse(text)
    except InvalidInputError as error:
        refused = error.message
    assert not refused or (out_of_range and out_of_range in refused)
    assert not refused or sum(map(str.isdigit, text)) >= 7


@given(_PATTERNS, st.one_of(_NEAR, st.text(max_size=12)))
def test_what_is_read_fits_its_pattern(pattern: str, text: str) -> None:
    parse, _ = _READ[pattern]
    try:
        parse(text)
    except InvalidInputError:
        return
    assert re.search(pattern, text)


def test_patterns_are_written_in_what_every_reader_of_schemas_knows() -> None:
    for pattern in _READ:
        assert pattern.isascii()
        assert pattern[0] == "^"
        assert pattern[-1] == "$"
        assert not re.search(r"\\[a-zA-Z]|\(\?[^:]", pattern)  # no classes, names, look-arounds
