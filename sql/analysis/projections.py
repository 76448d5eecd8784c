"""Names of a query's columns, given before anything is rewritten, as the author would expect them.

Engines disagree on the name of an expression without an alias (STORAGE.md § 4.3), so each gets its
own source text as an alias, on a single line: ``count(1)``, ``l_quantity * 2``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from sql.syntax.dialect import render

#: Key in ``meta`` of the name as it was written, since qualifying makes all names lower case.
LABEL = "label"

_ENDS = frozenset(
    {
        TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY,
        TokenType.LIMIT, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT, TokenType.WINDOW,
        TokenType.LATERAL, TokenType.QUALIFY, TokenType.SORT_BY, TokenType.CLUSTER_BY,
        TokenType.DISTRIBUTE_BY, TokenType.OFFSET,
    }
)  # fmt: skip
_OPEN = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSE = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})

#: Functions that give several columns or name them themselves.
_GENERATORS = (exp.Explode, exp.ExplodeOuter, exp.Posexplode, exp.PosexplodeOuter, exp.Inline)
_GENERATOR_NAMES = frozenset({"stack", "json_tuple", "inline_outer", "inline"})


def name_projections(query: exp.Query, tokens: Sequence[Token], text: str) -> None:
    """Alias the unnamed columns of the select that names the query's result; labels all of them."""
    name_inner(query)
    select = leftmost_select(query)
    if select is None:
        return
    spans = list(_spans(tokens))
    projections = select.expressions
    sources = spans if len(spans) == len(projections) else [None] * len(projections)
    named = [
        _named(projection, text[span[0] : span[1]] if span else None)
        for projection, span in zip(projections, sources, strict=True)
    ]
    select.set("expressions", named)


def _named(projection: exp.Expr, source: str | None) -> exp.Expr:
    bare = projection.unnest()
    if isinstance(bare, exp.Column):
        projection = bare  # (a) is a, also for an ORDER BY that names it
    match projection:
        case exp.Alias():
            projection.meta[LABEL] = projection.alias
        case exp.Column() if not projection.is_star:
            projection.this.meta[LABEL] = projection.name
        case exp.Star() | exp.Column() | exp.Aliases():
            pass
        case _ if is_generator(projection):
            pass
        case _:
            projection = _aliased(projection, source)
            projection.meta[LABEL] = projection.alias
    return projection


def name_inner(query: exp.Query) -> None:
    """Alias the unnamed columns of derived tables and of WITH, which a query around may name."""
    for select in query.find_all(exp.Select):
        if _is_table(select):
            named = [
                projection if _names_itself(projection) else _aliased(projection, None)
                for projection in select.expressions
            ]
            select.set("expressions", named)


def _is_table(select: exp.Select) -> bool:
    """Whether ``select`` names the columns of a relation that gives no names to them."""
    node: exp.Expr = select
    while isinstance(node.parent, exp.SetOperation) and node.arg_key == "this":
        node = node.parent
    parent = node.parent
    if isinstance(parent, exp.CTE):
        return not parent.args["alias"].columns
    return (
        isinstance(parent, exp.Subquery)
        and isinstance(parent.parent, exp.From | exp.Join | exp.Lateral)
        and not parent.alias_column_names
    )


def _names_itself(projection: exp.Expr) -> bool:
    return is_generator(projection) or isinstance(
        projection.unnest(), exp.Alias | exp.Aliases | exp.Column | exp.Star
    )


def _aliased(projection: exp.Expr, source: str | None) -> exp.Expr:
    label = _label(projection, source)
    return exp.alias_(projection, label, quoted=True, copy=False)


def leftmost_select(query: exp.Expr) -> exp.Select | None:
    """The SELECT whose columns name those of the whole query; None for VALUES."""
    while not isinstance(query, exp.Select):
        if not isinstance(query, exp.SetOperation | exp.Subquery):
            return None
        query = query.this
    return query


def is_generator(projection: exp.Expr) -> bool:
    """Whether ``projection`` makes rows, and names its columns itself."""
    return isinstance(projection, _GENERATORS) or (
        isinstance(projection, exp.Anonymous) and projection.name.lower() in _GENERATOR_NAMES
    )


def _label(projection: exp.Expr, source: str | None) -> str:
    if isinstance(projection, exp.Dot) and isinstance(projection.expression, exp.Identifier):
        return projection.expression.name
    if isinstance(projection, exp.Literal) and projection.is_string:
        return projection.name.replace("${", "$ {") or "''"
    if source is None or "?" in source or ":" in source:
        source = render(projection, functions="lower")
    return re.sub(r"\s+", " ", source).strip().replace("${", "$ {")


def _spans(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """Offsets of what stands between the commas of the first SELECT outside of brackets."""
    depth, index = 0, 0
    while index < len(tokens) and (tokens[index].token_type is not TokenType.SELECT or depth):
        depth += _step(tokens[index])
        index += 1
    index += 1
    if index < len(tokens) and tokens[index].token_type in (TokenType.DISTINCT, TokenType.ALL):
        index += 1
    depth, start, end = 0, None, 0
    for position in range(index, len(tokens)):
        token = tokens[position]
        inside_distinct = tokens[position - 1].token_type is TokenType.DISTINCT
        if not depth and token.token_type in _ENDS and not inside_distinct:
            break
        if not depth and token.token_type is TokenType.COMMA:
            if start is not None:
                yield start, end
            start = None
            continue
        depth += _step(token)
        start = token.start if start is None else start
        end = token.end + 1
    if start is not None:
        yield start, end


def _step(token: Token) -> int:
    return (token.token_type in _OPEN) - (token.token_type in _CLOSE)
