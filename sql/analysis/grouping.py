"""Columns beside an aggregate that belong to no group, told before an engine tells it worse.

Only a SELECT without GROUP BY is judged: where there is one, what a column depends on is the
engine's to know.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from sql.analysis.names import where
from sql.errors import ColumnNotGroupedError

#: With what belongs to one: FILTER (WHERE …) and WITHIN GROUP (ORDER BY …).
_AGGREGATES = (exp.AggFunc, exp.Filter, exp.WithinGroup)


def check_groups(query: exp.Query, text: str) -> None:
    """Raise ``ColumnNotGroupedError``. All columns of ``query`` name their sources."""
    for select in query.find_all(exp.Select):
        if select.args.get("group") is None:
            _check(select, text)


def _check(select: exp.Select, text: str) -> None:
    own = {source.alias_or_name for source in _sources(select)}
    bare: list[exp.Column] = []
    aggregates = False
    for node, aggregated in _outputs(select):
        if isinstance(node, exp.AggFunc):
            aggregates = True
        elif not aggregated and isinstance(node, exp.Column) and node.table in own:
            bare.append(node)
    if aggregates and bare:
        name = bare[0].name
        raise ColumnNotGroupedError(
            f"column {name} is neither aggregated nor grouped",
            hint=f"write GROUP BY {name}, or any_value({name})",
            **where(bare[0], text),
        )


def _sources(select: exp.Select) -> Iterator[exp.Expr]:
    clause = select.args.get("from_")
    if clause is not None:
        yield clause.this
    for join in select.args.get("joins") or ():
        yield join.this


def _outputs(select: exp.Select) -> Iterator[tuple[exp.Expr, bool]]:
    """The nodes of what is selected, and whether each is within an aggregate; in their order.

    Windows are left out, and so are queries.
    """
    stack = [(output, False) for output in reversed(select.expressions)]
    while stack:
        node, aggregated = stack.pop()
        if isinstance(node, exp.Window | exp.Query):
            continue
        yield node, aggregated
        within = aggregated or isinstance(node, _AGGREGATES)
        stack += [(child, within) for child in reversed(list(node.iter_expressions()))]
