"""Which names are allowed, and which ones are near a mistyped one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from storage.catalog.errors import InvalidNameError

#: Where names without a database are looked up; every project has it from its beginning on.
DEFAULT_DATABASE = "default"
_NAME = re.compile(r"[a-z0-9_]+")
_LONGEST = 128
_LONGEST_COLUMN = 255


def object_name(kind: str, name: str) -> str:
    """The lower-case form of a database's or table's name; raises ``InvalidNameError``."""
    lowered = name.lower()
    if not _NAME.fullmatch(lowered) or len(lowered) > _LONGEST:
        raise InvalidNameError(
            f"{name[:_LONGEST]!r} cannot be the name of a {kind}",
            hint=f"use at most {_LONGEST} letters, digits and underscores",
        )
    return lowered


def column_name(name: str) -> str:
    """``name`` unchanged; raises ``InvalidNameError`` where engines would not take it."""
    if not name or len(name) > _LONGEST_COLUMN or not name.isprintable() or "`" in name:
        raise InvalidNameError(
            f"{name[:_LONGEST]!r} cannot be the name of a column",
            hint=f"use 1 to {_LONGEST_COLUMN} printable characters and no back-tick",
        )
    return name


def similar(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """At most three of ``names`` that look like ``name``, the nearest first."""
    return tuple(difflib.get_close_matches(name.lower(), list(names), n=3, cutoff=0.6))


def did_you_mean(near: Iterable[str], otherwise: str | None = None) -> str | None:
    """A hint that lists near names, or ``otherwise`` if there is none."""
    words = list(near)
    return f"did you mean {' or '.join(repr(word) for word in words)}?" if words else otherwise
