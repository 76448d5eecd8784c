"""Which tables a text names, and what it does to them, told from the text alone; if it is a text.

Nothing is looked up: the tables need not exist. So views are not followed, and a name that turns
out to be none of a table is found only by ``prepare``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sql.statement import TableName

_NONE: frozenset[TableName] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """Tables and views by what is done to them; a table may be in several."""

    reads: frozenset[TableName] = _NONE
    creates: frozenset[TableName] = _NONE
    appends: frozenset[TableName] = _NONE
    overwrites: frozenset[TableName] = _NONE
    drops: frozenset[TableName] = _NONE

    @property
    def writes(self) -> frozenset[TableName]:
        """What has other rows afterwards."""
        return self.creates | self.appends | self.overwrites


def touched(text: str, *, database: str) -> Touched:
    """What one statement touches; ``database`` is that of names without one.

    Raises ``SqlError`` and its kin for a text that cannot be read. The parser is loaded with the
    first text: a service leaves the parsing of statements to its children.
    """
    reader = importlib.import_module("sql.touching")
    found: Touched = reader.find_touched(text, database=database)
    return found


def check_text(text: str, parameters: Mapping[str, object] | Sequence[object]) -> None:
    """Raise ``SqlError`` and its kin for what is no statement, or has not exactly these parameters.

    Only their names and number are looked at: the values may not be known yet.
    """
    importlib.import_module("sql.touching").check_text(text, parameters)
