"""What a guard rule is: a name, a pure check over a priced statement, and how it is set.

A rule speaks about a statement that is understood and whose cost is known. Rules that need syntax
only must still be right about what is written: a finding that is wrong teaches people to ignore all
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sql.analysis.bind import BoundStatement
from sql.statement import CostEstimate, FindingLevel

#: The level that silences a rule; the others are those of ``FindingLevel``.
OFF: Final = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A statement before the decision; ``cost`` is None for statements that compute nothing."""

    bound: BoundStatement
    cost: CostEstimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardLimits:
    """How a queue, or a request within it, sets the rules.

    ``levels`` maps a rule's code to ``off``, ``warn`` or ``refuse``; what is not in it has the
    rule's own level.
    """

    levels: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int | None = None  #: processed bytes of one statement; None: no limit
    order_rows: int = 10_000  #: rows that may be sorted into a result without a LIMIT
    generated_rows: int = 1_000_000  #: what a literal may ask of range, sequence, repeat, …
    in_list: int = 1_000  #: values in one IN
    joins: int = 20  #: joins in one statement, with views and WITH written out
    unions: int = 50  #: UNIONs in one statement, likewise
    file_bytes: int = 1_000_000  #: mean size below which files are small
    small_files: int = 100  #: how many small files may be opened


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRule:
    """``check`` gives a message for each thing that it finds; it raises nothing."""

    code: str
    check: Callable[[Candidate, GuardLimits], Iterator[str]]
    level: FindingLevel = FindingLevel.WARN  #: unless the limits say otherwise
    fixed: bool = False  #: whether no queue may change the level
