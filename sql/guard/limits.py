"""How the guard rules are set, without the rules: who only sets them need not load a parser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: The level that silences a rule; the others are those of ``FindingLevel``.
OFF: Final = "off"

#: The codes of ``runner.RULES``, in its order.
RULE_CODES: Final = (
    "reaches_outside",
    "max_bytes",
    "cross_join",
    "non_equi_join",
    "generator_bomb",
    "no_partition_filter",
    "not_in_subquery",
    "window_without_partition",
    "select_star",
    "order_without_limit",
    "many_distincts",
    "many_joins",
    "many_unions",
    "long_in_list",
    "small_files",
)


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
