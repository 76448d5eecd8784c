"""Point out ``SELECT *`` that takes all columns of a table into the result.

Only where it decides what is read: not in EXISTS, not over a derived table, and not in an inner
query, whose unused columns are never read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlglot import exp

from sql.guard.api import Candidate, GuardRule
from sql.guard.limits import GuardLimits
from sql.statement import StatementKind, TableName


def _check(candidate: Candidate, limits: GuardLimits) -> Iterator[str]:
    if candidate.bound.query is None or candidate.bound.kind is not StatementKind.QUERY:
        return
    found: dict[TableName, None] = {}
    for select in _branches(candidate.bound.query):
        stars = [output for output in select.expressions if output.is_star]
        for star in stars:
            wanted = star.table.lower() if isinstance(star, exp.Column) else ""
            for table in _tables(select):
                name = table.meta_get("relation")
                if not isinstance(name, TableName) or name not in candidate.bound.relations:
                    continue
                if wanted in ("", table.alias_or_name.lower()):
                    found[name] = None
    for name in found:
        count = len(candidate.bound.relations[name].columns)
        yield f"* reads all {count} columns of {name}: name those that are needed"


def _branches(query: exp.Expr) -> Iterator[exp.Select]:
    stack = [query]
    while stack:
        node = stack.pop()
        if isinstance(node, exp.SetOperation):
            stack += [node.expression, node.this]
        elif isinstance(node, exp.Subquery):
            stack.append(node.this)
        elif isinstance(node, exp.Select):
            yield node


def _tables(select: exp.Select) -> Iterator[exp.Table]:
    clause = select.args.get("from_")
    sources = [clause.this] if clause is not None else []
    sources += [join.this for join in select.args.get("joins") or ()]
    return (source for source in sources if isinstance(source, exp.Table))


SELECT_STAR: Final = GuardRule(code="select_star", check=_check)
