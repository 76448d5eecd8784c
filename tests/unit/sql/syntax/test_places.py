"""Lines and columns."""

from __future__ import annotations

import pytest

from sql.syntax.places import Place, place


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(0, (1, 1)), (1, (1, 2)), (2, (1, 3)), (3, (2, 1)), (4, (2, 2)), (99, (2, 3)), (-5, (1, 1))],
)
def test_place(offset: int, expected: tuple[int, int]) -> None:
    assert place("é😀\nab", offset) == Place(*expected)
