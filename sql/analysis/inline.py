"""A query without names of its own: CTEs and views replaced by copies of what they stand for.

Engines inline deterministic CTEs, and bytes are counted once per scan, so a CTE that is used twice
must be there twice. Doubling has no end by itself (forty CTEs, each naming the one before twice,
are 2^40 scans), so the nodes are counted and growth is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from sql.analysis.names import relation_of
from sql.errors import StatementTooDeepError
from sql.statement import TableName
from sql.syntax.kinds import refuse

#: Nodes of a query after all is inlined; the whole plan of one that big takes about a second.
MAX_NODES: Final = 60_000

_MODIFIERS: Final = ("joins", "laterals", "pivots", "sample")


class Budget:
    """Counts the nodes that are made; one per statement."""

    def __init__(self, nodes: int = MAX_NODES) -> None:
        self._left = nodes

    def spend(self, nodes: int) -> None:
        """Take ``nodes`` off; raises ``StatementTooDeepError`` when nothing is left."""
        self._left -= nodes
        if self._left < 0:
            raise StatementTooDeepError(
                "the statement grows past all bounds when its WITH and views are written out",
                hint="keep an intermediate result in a table: CREATE TABLE … AS SELECT",
            )


def size_of(tree: exp.Expr) -> int:
    """How many nodes ``tree`` has."""
    return sum(1 for _ in tree.walk())


def inline(query: exp.Query, views: Mapping[TableName, exp.Query], budget: Budget) -> exp.Query:
    """``query``, which is changed, without CTEs and views.

    ``views`` have their bodies inlined already, and their columns named. What remains are base
    tables, marked as before.
    """
    for with_ in reversed(list(query.find_all(exp.With))):  # breadth first, so the deepest is first
        _inline_ctes(with_, budget)
    for table in list(query.find_all(exp.Table)):
        name = relation_of(table)
        if name is not None and name in views:
            budget.spend(size_of(views[name]))
            _replace(table, views[name].copy(), ())
    return query


def _inline_ctes(with_: exp.With, budget: Budget) -> None:
    owner = with_.parent
    if owner is None:
        return
    for cte in list(with_.expressions):
        name, columns = cte.alias.lower(), tuple(cte.args["alias"].columns)
        body = cte.this
        if not isinstance(body, exp.Query):
            refuse("a WITH of something else than a query")
        if with_.recursive:
            _cut_recursion(body, name, columns)
        cte.pop()
        references = [table for table in owner.find_all(exp.Table) if _refers(table, name)]
        size = size_of(body) if len(references) != 1 else 0
        budget.spend(size * (len(references) - 1))  # one that nobody refers to gives its own back
        for table in references[1:]:
            _replace(table, body.copy(), columns)
        for table in references[:1]:
            _replace(table, body, columns)
    owner.set("with_", None)


def _refers(table: exp.Table, name: str) -> bool:
    return (
        isinstance(table.this, exp.Identifier)
        and relation_of(table) is None
        and table.name.lower() == name
    )


def _cut_recursion(body: exp.Query, name: str, columns: tuple[exp.Expr, ...]) -> None:
    """Let a recursive step read one row without tables, so that each scan counts once."""
    references = [table for table in body.find_all(exp.Table) if _refers(table, name)]
    if not references:
        return
    if not isinstance(body, exp.Union):
        refuse("WITH RECURSIVE without UNION")
    names = [column.name for column in columns] or body.left.named_selects
    if "*" in names or "" in names:
        refuse("WITH RECURSIVE without names of all columns", f"write {name}(column, …) AS")
    one_row = exp.select(*(exp.alias_(exp.null(), column, quoted=True) for column in names))
    for table in references:
        _replace(table, one_row.copy(), ())


def _replace(table: exp.Table, body: exp.Query, columns: tuple[exp.Expr, ...]) -> None:
    """Put ``body`` in the place of ``table``, under the alias that it has there."""
    written = table.args.get("alias")
    alias = exp.TableAlias(
        this=exp.to_identifier(table.alias_or_name, quoted=True),
        columns=[column.copy() for column in (written.columns if written else ()) or columns],
    )
    subquery = exp.Subquery(this=body, alias=alias)
    for key in _MODIFIERS:
        if table.args.get(key):
            subquery.set(key, table.args[key])
    table.replace(subquery)
