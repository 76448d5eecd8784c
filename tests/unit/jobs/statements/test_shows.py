"""Patterns and texts of SHOW; the answers themselves are in the integration tests."""

from __future__ import annotations

import pytest

from jobs.statements.shows import literal, matches, quoted


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        (None, "orders", True),
        ("orders", "orders", True),
        ("ord*", "orders", True),
        ("*der*", "orders", True),
        ("ORD*", "orders", True),
        ("x*|orders", "orders", True),
        ("ord", "orders", False),
        ("o.ders", "orders", False),
        ("", "orders", False),
        ("[o]rders", "orders", False),
    ],
)
def test_a_pattern_is_sparks(pattern: str | None, name: str, *, fits: bool) -> None:
    assert matches(pattern, name) is fits


def test_names_and_texts_are_safe_in_any_text() -> None:
    assert quoted("a`b") == "`a``b`"
    assert literal("it's \\ a") == "'it\\'s \\\\ a'"
