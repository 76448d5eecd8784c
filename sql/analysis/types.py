"""Types that cannot go together, told only where both are known beyond doubt."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from sql.analysis.names import where
from sql.errors import TypeMismatchError

DType = exp.DType

_STRINGS: Final = frozenset({DType.VARCHAR, DType.CHAR, DType.TEXT, DType.NVARCHAR, DType.NCHAR})
_NUMBERS: Final = frozenset(exp.DataType.NUMERIC_TYPES)
_TIMES: Final = frozenset(exp.DataType.TEMPORAL_TYPES)
_NESTED: Final = frozenset({DType.ARRAY, DType.MAP, DType.STRUCT})


def assignable(source: exp.DataType | None, target: exp.DataType) -> bool:
    """Whether Spark's ANSI store assignment lets a value of ``source`` into ``target``.

    Unknown types pass: the cast in the engine decides.
    """
    if source is None or source.this in (DType.UNKNOWN, DType.NULL) or source == target:
        return True
    if target.this is DType.UNKNOWN:
        return True
    if target.this in _STRINGS:
        return source.this not in _NESTED
    for family in (_NUMBERS, _TIMES):
        if target.this in family:
            return source.this in family
    if target.this in _NESTED:
        return source.this is target.this
    return source.this is target.this


def check_conditions(query: exp.Query, text: str) -> None:
    """Raise ``TypeMismatchError`` for a condition that is a number, a text, a date or nested.

    Only columns, literals, casts and arithmetic are judged; types of functions may be guesses.
    """
    for clause in query.find_all(exp.Where, exp.Having):
        _check(clause.this, clause.key.upper(), text)
    for join in query.find_all(exp.Join):
        if join.args.get("on"):
            _check(join.args["on"], "ON", text)


def _check(condition: exp.Expr, clause: str, text: str) -> None:
    todo = [condition]
    while todo:
        node = todo.pop()
        if isinstance(node, exp.And | exp.Or):
            todo += [node.left, node.right]
        elif isinstance(node, exp.Not | exp.Paren):
            todo.append(node.this)
        elif isinstance(node, exp.Column | exp.Literal | exp.Cast | exp.Add | exp.Sub | exp.Mul):
            type_ = node.type
            if type_ is not None and type_.this in _STRINGS | _NUMBERS | _TIMES | _NESTED:
                raise TypeMismatchError(
                    f"a condition in {clause} is {type_.sql('spark').lower()}, not boolean",
                    **where(node, text),
                )
