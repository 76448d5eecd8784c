"""Where something stands in a text, as people count: lines and columns from 1."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, both from 1, in characters."""

    line: int
    column: int


def place(text: str, offset: int) -> Place:
    """The place of the character at ``offset``; past the end is just behind the last character."""
    offset = min(max(offset, 0), len(text))
    start = text.rfind("\n", 0, offset) + 1
    return Place(text.count("\n", 0, offset) + 1, offset - start + 1)
