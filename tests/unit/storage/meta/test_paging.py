from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.meta.paging import CursorValue, InvalidCursorError, decode_cursor, encode_cursor

VALUES = st.lists(st.one_of(st.none(), st.integers(), st.text()), max_size=4)


@given(VALUES)
def test_a_cursor_gives_back_its_values(values: list[CursorValue]) -> None:
    cursor = encode_cursor(values)
    assert decode_cursor(cursor) == tuple(values)
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text", ["", "x", "{}", "e30", "ü", "bnVsbA", "W3RydWVd", "WzEuNV0", "W1tdXQ", "[1]", "W" * 9]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        decode_cursor(text)


def test_a_cursor_of_deep_nesting_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(InvalidCursorError):
        decode_cursor(deep)


@given(st.binary(max_size=30))
def test_no_text_does_more_than_be_refused(raw: bytes) -> None:
    with contextlib.suppress(InvalidCursorError):
        decode_cursor(base64.urlsafe_b64encode(raw).decode())
