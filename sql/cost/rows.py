"""How many rows a query gives: bounds that follow from its form and from rows scanned.

Joins and filters are not guessed at: without knowing how values are spread, such guesses are wrong
by factors of tens to thousands. So ``high`` is set only where it is certain (LIMIT, aggregates
without GROUP BY, VALUES, one source), and ``likely`` is no more than a hint.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from sql.scan.blocks import Block, From, JoinKind, Source, block_of
from sql.statement import Bounds, TableName

#: Rows of a base table after pruning, None where its format does not tell.
TableRows = Callable[[TableName], int | None]

_GROUPS = 10  #: rows of a group, when nothing is known
_MOST = 10**15  #: a bound above it tells nothing


def result_rows(tree: exp.Query, table_rows: TableRows) -> Bounds:
    """The rows of ``tree``; a recursive step counts as if it ran once, so it has no bound."""
    low, likely, high = _query(tree, table_rows)
    if high is not None and high > _MOST:
        high = None
    return Bounds(low=low, likely=min(likely, _MOST if high is None else high), high=high)


_Rows = tuple[int, int, int | None]


def _query(node: exp.Expr, table_rows: TableRows) -> _Rows:
    if isinstance(node, exp.Subquery):
        return _limited(node, _query(node.this, table_rows))
    if isinstance(node, exp.SetOperation):
        return _limited(node, _set_operation(node, table_rows))
    if isinstance(node, exp.Select):
        return _limited(node, _block(block_of(node), table_rows))
    return 0, 1, None


def _set_operation(node: exp.SetOperation, table_rows: TableRows) -> _Rows:
    if not isinstance(node, exp.Union):
        _, likely, high = _query(node.this, table_rows)
        return 0, likely, high
    branches: list[exp.Expr] = []
    distinct = False
    head: exp.Expr = node
    while isinstance(head, exp.Union) and (head is node or not _limit_of(head)):
        distinct = distinct or bool(head.args.get("distinct"))
        branches.append(head.expression)
        head = head.this
    found = [_query(branch, table_rows) for branch in (head, *branches)]
    low = sum(low for low, _, _ in found)
    known = [high for _, _, high in found if high is not None]
    return (
        min(low, 1) if distinct else low,
        sum(likely for _, likely, _ in found),
        sum(known) if len(known) == len(found) else None,
    )


def _block(block: Block, table_rows: TableRows) -> _Rows:
    rows: _Rows = (1, 1, 1)
    if block.source is not None:
        rows = _from(block.source, table_rows, filtered=bool(block.where))
    low, likely, high = rows
    if block.one_row:
        return (0 if block.having else 1), 1, _unless(bool(block.generators), 1)
    if block.where or block.having:
        low = 0
    if block.grouped or block.distinct:
        low, likely = min(low, 1), max(likely // _GROUPS, min(likely, 1))
        if block.keys is None:  # ROLLUP and CUBE make more groups than there are rows
            return low, likely, None
    return (0 if bool(block.generators) else low), likely, _unless(bool(block.generators), high)


def _unless(generates: bool, high: int | None) -> int | None:
    return None if generates else high


def _from(tree: From, table_rows: TableRows, *, filtered: bool) -> _Rows:
    """Each source is asked once. Under WHERE, every two sources are taken to be related."""
    if isinstance(tree, Source):
        return _source(tree, table_rows)
    left = _from(tree.left, table_rows, filtered=filtered)
    right = _from(tree.right, table_rows, filtered=filtered)
    match tree.kind:
        case JoinKind.SEMI | JoinKind.ANTI:
            return 0, left[1], left[2]
        case _ if right[2] is not None and right[2] <= 1 and tree.kind is JoinKind.LEFT:
            return left
        case JoinKind.LEFT:
            return left[0], max(left[1], right[1]), _times(left[2], right[2], at_least=1)
        case JoinKind.INNER:
            return _inner(left, right, related=filtered or bool(tree.on))
    return 0, max(left[1], right[1]), None


def _inner(left: _Rows, right: _Rows, *, related: bool) -> _Rows:
    likely = max(left[1], right[1]) if related else left[1] * right[1]
    low = 0 if related else left[0] * right[0]
    return low, likely, _times(left[2], right[2])


def _times(left: int | None, right: int | None, *, at_least: int = 0) -> int | None:
    return None if left is None or right is None else left * max(right, at_least)


def _source(source: Source, table_rows: TableRows) -> _Rows:
    if source.table is not None:
        rows = table_rows(source.table)
        if rows is None:
            return 0, 1, None
        return (0, rows, None) if source.opaque else (0, rows, rows)
    if source.query is not None:
        low, likely, high = _query(source.query, table_rows)
        return (0, likely, None) if source.opaque else (low, likely, high)
    return 0, 1, source.rows


def _limit_of(node: exp.Expr) -> exp.Expr | None:
    limit = node.args.get("limit")
    return limit if isinstance(limit, exp.Expr) else None


def _limited(node: exp.Expr, rows: _Rows) -> _Rows:
    low, likely, high = rows
    if node.args.get("offset") is not None:
        low = 0
    limit = _limit_of(node)
    value = limit.expression if isinstance(limit, exp.Limit) else None
    if not isinstance(value, exp.Literal) or value.is_string or not value.name.isdigit():
        return low, likely, high
    most = int(value.name)
    return min(low, most), min(likely, most), most if high is None else min(high, most)
