"""Point out windows over a whole table: all its rows pass through one task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits
from sql.scan.blocks import Block, block_of, sources


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    tree = candidate.bound.scan_tree
    if tree is None:
        return
    blocks: dict[int, Block] = {}
    for window in tree.find_all(exp.Window):
        select = window.find_ancestor(exp.Select)
        named = window.args.get("alias") is not None  # OVER w: the WINDOW clause is looked at
        if named or window.args.get("partition_by") or not isinstance(select, exp.Select):
            continue
        if id(select) not in blocks:
            blocks[id(select)] = block_of(select)
        block = blocks[id(select)]
        if block.grouped or block.one_row:
            continue
        tables = [source.table for source in sources(block.source) if source.table is not None]
        if tables:
            yield f"a window without PARTITION BY sorts all rows of {tables[0]} in one task"
            return


WINDOW_WITHOUT_PARTITION: Final = GuardRule(code="window_without_partition", check=_check)
