"""Columns: every one gets its source and its type, or an error that says what was meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any, Final

from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

from sql.analysis.names import VIEW, where
from sql.errors import (
    AmbiguousColumnError,
    ColumnCountError,
    ColumnNotFoundError,
    SqlError,
    StatementTooDeepError,
    ViewBrokenError,
)
from sql.syntax.dialect import DIALECT_NAME, FOREIGN_ERRORS

#: Nodes that lateral aliases (``a + 1 AS b, b + b AS c, …``) may grow one SELECT to.
MAX_ALIAS_NODES: Final = 10_000

_QUOTED = re.compile(r"(?:[Cc]olumn:?|join:) '?([^\s'.]+)'?")


def qualify_and_type(query: exp.Query, schema: MappingSchema, text: str) -> exp.Query:
    """``query``, which is changed, with qualified columns, expanded stars, and types.

    Raises ``ColumnNotFoundError``, ``AmbiguousColumnError``, ``ColumnCountError`` with their place
    in ``text``, and ``StatementTooDeepError`` for aliases that double each other.
    """
    for select in query.find_all(exp.Select):
        _bound_aliases(select)
    try:
        qualified = qualify(
            query,
            dialect=DIALECT_NAME,
            schema=schema,
            validate_qualify_columns=False,
        )
        scopes = traverse_scope(qualified)
        for scope in scopes:
            _check_scope(scope, schema, text)
        typed = annotate_types(qualified, schema=schema, dialect=DIALECT_NAME)
    except SqlError:
        raise
    except OptimizeError as error:
        raise _translate(error, query, schema, text) from error
    except RecursionError as error:
        raise StatementTooDeepError("the statement nests too deep to be understood") from error
    except FOREIGN_ERRORS as error:
        raise SqlError("the statement cannot be understood") from error
    _check_set_operations(typed)
    return typed


def _bound_aliases(select: exp.Select) -> None:
    """Stop aliases that refer to each other before they are written out: each may double."""
    sizes: dict[str, int] = {}
    for projection in select.expressions:
        nodes, references = _size_and_references(projection, sizes)
        grown = nodes + sum(sizes[name] * count for name, count in references.items())
        if grown > MAX_ALIAS_NODES and references:
            raise StatementTooDeepError(
                "aliases that refer to each other grow past all bounds",
                hint="compute them step by step, in nested queries",
            )
        if isinstance(projection, exp.Alias):
            sizes[projection.alias.lower()] = grown


def _size_and_references(node: exp.Expr, names: Iterable[str]) -> tuple[int, Counter[str]]:
    nodes, references = 0, Counter[str]()
    for inner in node.walk():
        nodes += 1
        if isinstance(inner, exp.Column) and not inner.table:
            name = inner.name.lower()
            if name in names:
                references[name] += 1
    return nodes, references


def _check_scope(scope: Scope, schema: MappingSchema, text: str) -> None:
    if not isinstance(scope.expression, exp.Select):
        return
    for column in _unresolved(scope):
        known = {name: _columns_of(source, schema) for name, source in scope.sources.items()}
        if any(names is None for names in known.values()):
            continue
        holders = [name for name, names in known.items() if names and column.name in names]
        raise _in_view(column, _column_error(column, holders, known, text))


def _unresolved(scope: Scope) -> Iterator[exp.Column]:
    if scope.pivots:
        return
    yield from scope.unqualified_columns
    if not scope.is_correlated_subquery:
        yield from scope.external_columns


def _columns_of(source: object, schema: MappingSchema) -> list[str] | None:
    """Names that a source gives, None where that is not known."""
    match source:
        case Scope():
            expression = source.expression
            if isinstance(expression, exp.Query):
                names = list(expression.named_selects)
                return None if "*" in names else names
            return None
        case exp.Table() if isinstance(source.this, exp.Identifier):
            return list(schema.column_names(source))
    return None


def _column_error(
    column: exp.Column, holders: list[str], known: dict[str, list[str] | None], text: str
) -> SqlError:
    name, place = _written(column), where(column.this, text)
    if column.table and column.table not in known:
        near = get_close_matches(column.table, [source for source in known if source], n=1)
        return ColumnNotFoundError(
            f"{column.table}.{name}: there is no relation {column.table} here",
            hint=f"did you mean {near[0]}.{name}?" if near else _list(sorted(known)),
            **place,
        )
    if len(holders) > 1:
        return AmbiguousColumnError(
            f"column {name} is in {' and in '.join(sorted(holders))}",
            hint=f"write {sorted(holders)[0]}.{name}",
            **place,
        )
    return _not_found(name, [each for names in known.values() for each in names or ()], place)


def _not_found(name: str, candidates: Iterable[str], place: dict[str, Any]) -> ColumnNotFoundError:
    choices = sorted(set(candidates))
    near = get_close_matches(name.lower(), choices, n=1, cutoff=0.6)
    return ColumnNotFoundError(
        f"there is no column {name}",
        hint=f"did you mean {near[0]}?" if near else _list(choices),
        **place,
    )


def _list(names: list[str]) -> str | None:
    if not names:
        return None
    shown = ", ".join(names[:8])
    return f"there are {shown}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _written(column: exp.Column) -> str:
    return column.name


def _translate(
    error: OptimizeError, query: exp.Query, schema: MappingSchema, text: str
) -> SqlError:
    """Our error for one of sqlglot's, which tells a column by its name only."""
    match = _QUOTED.search(str(error))
    if match is None:
        return SqlError(str(error).split("\n")[0])
    name = match[1]
    columns = [column for column in query.find_all(exp.Column) if column.name == name]
    qualified = [column for column in columns if column.table]
    first = next(iter(qualified or columns), None)
    place = where(first.this, text) if first is not None else {}
    candidates = {
        each
        for table in query.find_all(exp.Table)
        if first is None or not first.table or table.alias_or_name == first.table
        for each in _columns_of(table, schema) or ()
    }
    return _in_view(first, _not_found(name, candidates, place))


def _in_view(column: exp.Column | None, error: SqlError) -> SqlError:
    """``error``, told as one of the view that ``column`` was written in."""
    view = column.this.meta_get(VIEW) if column is not None else None
    if view is None:
        return error
    return ViewBrokenError(f"view {view} is broken: {error.message}", hint=error.hint, view=view)


def _check_set_operations(query: exp.Query) -> None:
    """UNION, EXCEPT and INTERSECT need as many columns on both sides."""
    for operation in query.find_all(exp.SetOperation):
        left, right = operation.left, operation.right
        if operation.args.get("by_name") or not isinstance(left, exp.Query):
            continue
        if not isinstance(right, exp.Query) or left.is_star or right.is_star:
            continue
        if len(left.selects) != len(right.selects):
            raise ColumnCountError(
                f"{operation.key.upper()} joins {len(left.selects)} columns with"
                f" {len(right.selects)}"
            )
