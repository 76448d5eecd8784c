"""YAML means what JSON would mean, and mistakes are told with their place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dli.remote.documents import DocumentError, parse_document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=8), JSON))
def test_json_is_read_as_it_is(value: dict[str, Any]) -> None:
    assert parse_document(json.dumps(value)) == value


def test_words_and_dates_stay_text() -> None:
    text = (
        "day: 2026-01-01\non: off\nyes: no\nflag: true\nnothing: null\nn: 3\nsql: |\n  SELECT 1\n"
    )
    assert parse_document(text) == {
        "day": "2026-01-01", "on": "off", "yes": "no", "flag": True, "nothing": None, "n": 3,
        "sql": "SELECT 1\n",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: 1\nb: [", "line 2"),
        ("a: 1\na: 2\n", "'a' is given twice"),
        ("- a\n", "no object"),
        ("", "no object"),
        ("1: a\n", "no object"),
        ("a: !!python/object:os.system x\n", "line 1"),
        ("a: \x00", "cannot be read"),
    ],
)
def test_a_mistake_is_told(text: str, word: str) -> None:
    with pytest.raises(DocumentError, match=word):
        parse_document(text)
