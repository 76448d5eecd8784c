"""What a guard rule is: a name, a pure check over a priced statement, and how it is set.

A rule speaks about a statement that is understood and whose cost is known. Rules that need syntax
only must still be right about what is written: a finding that is wrong teaches people to ignore all
of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sql.analysis.bind import BoundStatement
from sql.guard.limits import GuardLimits
from sql.statement import CostEstimate, FindingLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A statement before the decision; ``cost`` is None for statements that compute nothing."""

    bound: BoundStatement
    cost: CostEstimate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRule:
    """``check`` gives a message for each thing that it finds; it raises nothing."""

    code: str
    check: Callable[[Candidate, GuardLimits], Iterator[str]]
    level: FindingLevel = FindingLevel.WARN  #: unless the limits say otherwise
    fixed: bool = False  #: whether no queue may change the level
