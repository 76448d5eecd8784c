"""What a filter says about one table, as values that are free of SQL.

A condition answers one question about a set of rows of which only bounds are known: may a row of
these satisfy it? ``Maybe`` is the answer to everything that is not understood, so an unknown part
never prunes. Negation is gone by the time a condition is made (it is pushed to the leaves, which is
exact in three-valued logic), and a leaf never holds for NULL unless it says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Maybe:
    """Nothing is known."""


@dataclass(frozen=True, slots=True)
class Never:
    """No row satisfies it: it is false or NULL whatever the columns hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The column's value lies from ``low`` to ``high``; None means no end there.

    Values are in the order space of the column (``sql.scan.domains``). The upper end is excluded
    where ``open_high``. ``nan`` tells that NaN satisfies it, too: it sorts above every number and
    no statistics show it.
    """

    column: str
    low: Any = None
    high: Any = None
    open_high: bool = False
    nan: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Differs:
    """The column's value is not NULL and not ``value``."""

    column: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf:
    """The column's value is one of ``values``, which are in ascending order."""

    column: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """The column is NULL, or with ``negated`` is not."""

    column: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds for the same row."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds."""

    parts: tuple[Condition, ...]


Condition = Maybe | Never | Range | Differs | OneOf | Null | All | Either
MAYBE = Maybe()
NEVER = Never()


def all_of(parts: Iterable[Condition]) -> Condition:
    """The conjunction; nothing at all is ``Maybe``.

    Where one part bounds a float column from above, the others no longer let NaN through.
    """
    kept: list[Condition] = []
    for part in parts:
        if isinstance(part, Never):
            return NEVER
        if not isinstance(part, Maybe):
            kept.extend(part.parts if isinstance(part, All) else (part,))
    numbers = {
        part.column
        for part in kept
        if isinstance(part, OneOf) or (isinstance(part, Range) and not part.nan)
    }
    kept = [
        replace(part, nan=False)
        if isinstance(part, Range) and part.nan and part.column in numbers
        else part
        for part in kept
    ]
    if not kept:
        return MAYBE
    return kept[0] if len(kept) == 1 else All(tuple(kept))


def either_of(parts: Iterable[Condition]) -> Condition:
    """The disjunction; nothing at all is ``Never``."""
    kept: list[Condition] = []
    for part in parts:
        if isinstance(part, Maybe):
            return MAYBE
        if not isinstance(part, Never):
            kept.extend(part.parts if isinstance(part, Either) else (part,))
    if not kept:
        return NEVER
    return kept[0] if len(kept) == 1 else Either(tuple(kept))
