"""Which sources of a SELECT hang together, and by what: the ground of the rules about joins.

A graph per SELECT: its sources, joined where an equality relates columns of both sides.
Alternatives (OR) contribute the equalities that all of them share. Sources of at most one row,
generators and lateral views multiply nothing and stay outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from sql.scan.blocks import Block, From, Joined, Source, block_of, sources
from sql.scan.filters import conjuncts, disjuncts

_Pair = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconnected:
    """Two parts of one SELECT; ``related`` where some condition other than an equality is there."""

    left: str
    right: str
    related: bool


def unconnected(tree: exp.Query) -> Iterator[Unconnected]:
    """Every two neighbouring parts, in any SELECT of ``tree``, that no equality joins."""
    for select in tree.find_all(exp.Select):
        if select.args.get("joins"):
            yield from _of_block(block_of(select))


def _of_block(block: Block) -> Iterator[Unconnected]:
    names = [source.alias for source in sources(block.source) if _multiplies(source)]
    if len(names) < 2:
        return
    conditions = [*block.where, *(part for joined in _joins(block.source) for part in joined.on)]
    equal = _parts(names, (pair for part in conditions for pair, _ in _equalities(part)))
    related = _parts(names, (pair for part in conditions for pair in _mentions(part)))
    firsts = list(dict.fromkeys(equal[name] for name in names))
    for other in firsts[1:]:
        yield Unconnected(left=firsts[0], right=other, related=related[firsts[0]] == related[other])


def _multiplies(source: Source) -> bool:
    if source.table is not None:
        return True
    if source.query is None or isinstance(source.query.parent, exp.Lateral):
        return False
    query = source.query.unnest() if isinstance(source.query, exp.Subquery) else source.query
    if not isinstance(query, exp.Select):
        return True
    limit = query.args.get("limit")
    one = isinstance(limit, exp.Limit) and limit.expression.name in ("0", "1")
    block = block_of(query)
    return not (one or block.one_row or (block.source is None and not block.generators))


def _joins(tree: From | None) -> Iterator[Joined]:
    stack = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, Joined):
            yield node
            stack += [node.left, node.right]


def _parts(names: Iterable[str], pairs: Iterable[_Pair]) -> dict[str, str]:
    """Each name's part, called by the first name in it."""
    part = {name: name for name in names}
    order = list(part)
    for pair in pairs:
        found = [part[name] for name in pair if name in part]
        if len(found) == 2 and found[0] != found[1]:
            keep, lose = sorted(found, key=order.index)
            part = {name: keep if value == lose else value for name, value in part.items()}
    return part


def _equalities(condition: exp.Expr) -> set[tuple[_Pair, int]]:
    """The sources that an equality relates, with a mark of the equality itself."""
    if isinstance(condition, exp.Or):
        found = [
            {pair for part in conjuncts(branch) for pair in _equalities(part)}
            for branch in disjuncts(condition)
        ]
        return set.intersection(*found)
    if not isinstance(condition, (exp.EQ, exp.NullSafeEQ)):
        return set()
    left, right = _aliases(condition.this), _aliases(condition.expression)
    if not left.isdisjoint(right):
        return set()
    mark = hash(frozenset({condition.this, condition.expression}))
    return {(frozenset({a, b}), mark) for a in left for b in right}


def _mentions(condition: exp.Expr) -> set[_Pair]:
    names = sorted(_aliases(condition))
    return {frozenset({names[0], name}) for name in names[1:]}


def _aliases(node: exp.Expr) -> set[str]:
    """Sources that an expression reads; a query inside it, correlated or not, joins nothing."""
    found: set[str] = set()
    stack = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, exp.Column):
            found.add(item.table.lower())
        elif not isinstance(item, exp.Query):
            stack.extend(item.iter_expressions())
    return found
