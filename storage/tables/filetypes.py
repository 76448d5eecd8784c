"""Which types of a file's column can be read as which type of the table's column.

Types are Spark's DDL texts in canonical form. What is allowed here is what both engines read when
they are given the table's schema explicitly, or what one of them refuses loudly.
"""

from __future__ import annotations

import re

_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_FLOATS = ("float", "double")
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_READ_AS = {
    ("binary", "string"),  # strings of writers that did not say so
    ("timestamp_ntz", "timestamp"),  # the session's zone is always UTC
    ("void", "string"),  # a column of nothing but NULL
}


def widen(first: str, second: str) -> str | None:
    """The narrowest type that holds the values of both, None if there is none."""
    if first == second or second == "void":
        return first
    if first == "void":
        return second
    for family in (_INTEGERS, _FLOATS):
        if first in family and second in family:
            return max(first, second, key=family.index)
    one, other = _DECIMAL.fullmatch(first), _DECIMAL.fullmatch(second)
    if one and other and one[2] == other[2]:
        return f"decimal({max(int(one[1]), int(other[1]))},{one[2]})"
    return None


def readable_as(file_type: str, table_type: str) -> bool:
    """Whether a file's column of the one type gives values of the other."""
    return widen(file_type, table_type) == table_type or (file_type, table_type) in _READ_AS


def decimal_scale(kind: str) -> int | None:
    """The scale of a decimal type, None for other types."""
    match = _DECIMAL.fullmatch(kind)
    return int(match[2]) if match else None
