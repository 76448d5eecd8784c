"""From a filter's tree to a condition on the columns of one scan.

The tree may speak of columns of other tables, of derived tables around the scan, and of functions;
a ``Lookup`` tells what a column stands for, and everything else becomes ``Maybe``. Nothing here
changes a tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from sql.scan.conditions import (
    MAYBE,
    NEVER,
    Condition,
    Null,
    OneOf,
    Range,
    all_of,
    either_of,
)
from sql.scan.constants import NULL, Constant, Kind, fold
from sql.scan.domains import (
    NEGATED,
    SWAPPED,
    ColumnSpace,
    Operator,
    Space,
    compare,
    space_of,
    starts_with,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseColumn:
    """A column of the scanned table, by its Spark type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A column that stands for an expression further down."""

    expression: exp.Expr
    lookup: Lookup


#: What a column stands for: itself, something further down, a constant (NULL), or unknown.
Meaning = BaseColumn | Derived | Constant | None
Lookup = Callable[[exp.Column], Meaning]


@dataclass(slots=True)
class Steps:
    """How much work is left; without any, all is ``Maybe``, which is dear but never wrong."""

    left: int

    def take(self) -> bool:
        """Use one step; false when there is none."""
        self.left -= 1
        return self.left >= 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A filter with the meaning of its columns."""

    expression: exp.Expr
    lookup: Lookup


_DEPTH = 100
_COMPARISONS: dict[type, Operator] = {
    exp.EQ: Operator.EQ,
    exp.NEQ: Operator.NE,
    exp.LT: Operator.LT,
    exp.LTE: Operator.LE,
    exp.GT: Operator.GT,
    exp.GTE: Operator.GE,
}
_WHOLE_NUMBERS = {
    exp.DType.TINYINT: 0,
    exp.DType.SMALLINT: 1,
    exp.DType.INT: 2,
    exp.DType.BIGINT: 3,
}
_WIDTHS = {"tinyint": 0, "smallint": 1, "int": 2, "bigint": 3}


def condition_of(item: Filter, steps: Steps) -> Condition:
    """What ``item`` says of the scan whose columns its lookup calls ``BaseColumn``."""
    return _Reader(steps=steps).read(item.expression, item.lookup, negated=False, depth=0)


def conjuncts(expression: exp.Expr | None) -> Iterator[exp.Expr]:
    """The parts of a conjunction from left to right, without parentheses around them."""
    stack = [expression] if expression is not None else []
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, exp.And):
            stack += [part.expression, part.this]
        else:
            yield part


@dataclass(slots=True)
class _Reader:
    steps: Steps
    _handlers: dict[type, Callable[..., Condition]] = field(init=False)

    def __post_init__(self) -> None:
        self._handlers = {
            exp.And: self._and_or,
            exp.Or: self._and_or,
            exp.Not: self._not,
            exp.Is: self._is,
            exp.In: self._in,
            exp.Between: self._between,
            exp.Like: self._like,
            exp.StartsWith: self._like,
            exp.NullSafeEQ: self._null_safe,
            exp.NullSafeNEQ: self._null_safe,
            exp.Column: self._bare,
            **dict.fromkeys(_COMPARISONS, self._compare),
        }

    def read(self, node: exp.Expr, lookup: Lookup, *, negated: bool, depth: int) -> Condition:
        node = node.unnest()
        handler = self._handlers.get(type(node))
        if depth > _DEPTH or not self.steps.take():
            return MAYBE
        if node.args.get("negate"):  # sqlglot keeps NOT LIKE as one node
            negated = not negated
        if handler is not None:
            return handler(node, lookup, negated, depth + 1)
        return _truth(fold(node), negated)

    def _and_or(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        parts = list(conjuncts(node)) if isinstance(node, exp.And) else list(disjuncts(node))
        read = (self.read(part, lookup, negated=negated, depth=depth) for part in parts)
        return all_of(read) if isinstance(node, exp.And) != negated else either_of(read)

    def _not(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        return self.read(node.this, lookup, negated=not negated, depth=depth)

    def _bare(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        meaning = lookup(node)
        if isinstance(meaning, Derived):
            return self.read(meaning.expression, meaning.lookup, negated=negated, depth=depth)
        if isinstance(meaning, Constant):
            return _truth(meaning, negated)
        target = _space(meaning)
        if target is None or target.space is not Space.BOOLEAN:
            return MAYBE
        return Range(column=target.column, low=int(not negated), high=int(not negated))

    def _is(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        operand = self._operand(node.this, lookup, depth)
        if isinstance(node.expression, exp.Null):
            return _is_null(operand, negated)
        if isinstance(node.expression, exp.Boolean):
            wanted = bool(node.expression.this) != negated
            holds = self.read(node.this, lookup, negated=not wanted, depth=depth)
            return either_of([holds, _is_null(operand, False)]) if negated else holds
        return MAYBE

    def _null_safe(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        different = isinstance(node, exp.NullSafeNEQ) != negated
        left = self._operand(node.this, lookup, depth)
        right = self._operand(node.expression, lookup, depth)
        if isinstance(left, Constant):
            left, right = right, left
        if not isinstance(right, Constant) or left is None:
            return MAYBE
        if right.kind is Kind.NULL:
            return _is_null(left, different)
        equal = _relate(left, Operator.NE if different else Operator.EQ, right)
        return either_of([equal, _is_null(left, False)]) if different else equal

    def _compare(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        operator = _COMPARISONS[type(node)]
        operator = NEGATED[operator] if negated else operator
        left = self._operand(node.this, lookup, depth)
        right = self._operand(node.expression, lookup, depth)
        return _relate(left, operator, right)

    def _between(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        if node.args.get("symmetric"):
            return MAYBE
        operand = self._operand(node.this, lookup, depth)
        low = self._operand(node.args["low"], lookup, depth)
        high = self._operand(node.args["high"], lookup, depth)
        if negated:
            outside = (_relate(operand, Operator.LT, low), _relate(operand, Operator.GT, high))
            return either_of(outside)
        return all_of((_relate(operand, Operator.GE, low), _relate(operand, Operator.LE, high)))

    def _in(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        if not node.expressions or any(node.args.get(arg) for arg in ("query", "unnest", "field")):
            return MAYBE
        operand = self._operand(node.this, lookup, depth)
        values = [self._operand(item, lookup, depth) for item in node.expressions]
        if negated:
            return all_of(_relate(operand, Operator.NE, value) for value in values)
        parts = [_relate(operand, Operator.EQ, value) for value in values]
        return _one_of(parts) if len(parts) > 8 else either_of(parts)

    def _like(self, node: Any, lookup: Lookup, negated: bool, depth: int) -> Condition:
        operand = self._operand(node.this, lookup, depth)
        pattern = self._operand(node.expression, lookup, depth)
        if not isinstance(pattern, Constant):
            return MAYBE
        if pattern.kind is Kind.NULL:
            return NEVER
        if negated or not isinstance(operand, ColumnSpace) or pattern.kind is not Kind.STRING:
            return MAYBE
        if isinstance(node, exp.StartsWith):
            return starts_with(operand, pattern.low)
        prefix = _prefix(pattern.low)
        if prefix == pattern.low:
            return _relate(operand, Operator.EQ, pattern)
        return starts_with(operand, prefix)

    def _operand(self, node: Any, lookup: Lookup, depth: int) -> ColumnSpace | Constant | None:
        """A side of a comparison: a column of the scan, a constant, or unknown."""
        node = node.unnest()
        while isinstance(node, exp.Alias):
            node = node.this.unnest()
        if depth > _DEPTH or not self.steps.take():
            return None
        if isinstance(node, exp.Column):
            meaning = lookup(node)
            if isinstance(meaning, Derived):
                return self._operand(meaning.expression, meaning.lookup, depth + 1)
            return meaning if isinstance(meaning, Constant) else _space(meaning)
        if isinstance(node, exp.Cast):
            inner = self._operand(node.this, lookup, depth + 1)
            if isinstance(inner, ColumnSpace):
                return inner if self._keeps(node, lookup) else None
        return fold(node)

    def _keeps(self, cast: exp.Cast, lookup: Lookup) -> bool:
        """Whether a cast of a column leaves each value as it is and may not fail."""
        column = cast.this.unnest()
        meaning = lookup(column) if isinstance(column, exp.Column) else None
        if not isinstance(meaning, BaseColumn):
            return False
        target = cast.to.this
        if target in _WHOLE_NUMBERS and meaning.type in _WIDTHS:
            return _WHOLE_NUMBERS[target] >= _WIDTHS[meaning.type]
        same = {"date": exp.DType.DATE, "string": exp.DType.TEXT, "double": exp.DType.DOUBLE}
        return bool(same.get(meaning.type) == target)


def disjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The alternatives of a disjunction from left to right."""
    stack = [node]
    while stack:
        part = stack.pop().unnest()
        if isinstance(part, exp.Or):
            stack += [part.expression, part.this]
        else:
            yield part


def _space(meaning: Meaning) -> ColumnSpace | None:
    return space_of(meaning.name, meaning.type) if isinstance(meaning, BaseColumn) else None


def _truth(value: Constant | None, negated: bool) -> Condition:
    if value is None or value.kind not in (Kind.NULL, Kind.BOOLEAN):
        return MAYBE
    return MAYBE if value.kind is Kind.BOOLEAN and bool(value.low) != negated else NEVER


def _is_null(operand: ColumnSpace | Constant | None, negated: bool) -> Condition:
    if isinstance(operand, Constant):
        return MAYBE if (operand.kind is Kind.NULL) != negated else NEVER
    return MAYBE if operand is None else Null(column=operand.column, negated=negated)


def _relate(
    left: ColumnSpace | Constant | None, operator: Operator, right: ColumnSpace | Constant | None
) -> Condition:
    """``left`` stands in ``operator`` to ``right``."""
    if NULL in (left, right):
        return NEVER
    if isinstance(left, Constant) and isinstance(right, Constant):
        return _constants(left, operator, right)
    if isinstance(left, Constant):
        left, right, operator = right, left, SWAPPED[operator]
    if isinstance(left, ColumnSpace) and isinstance(right, Constant):
        return compare(left, operator, right)
    return MAYBE


def _constants(left: Constant, operator: Operator, right: Constant) -> Condition:
    """``Never`` where two exact constants of one kind certainly do not compare like that."""
    numbers = {Kind.INTEGER, Kind.DECIMAL}
    alike = left.kind is right.kind or {left.kind, right.kind} <= numbers
    if not alike or left.kind is Kind.INTERVAL or not (left.exact and right.exact):
        return MAYBE
    a, b = left.low, right.low
    holds = {
        Operator.EQ: a == b,
        Operator.NE: a != b,
        Operator.LT: a < b,
        Operator.LE: a <= b,
        Operator.GT: a > b,
        Operator.GE: a >= b,
    }[operator]
    return MAYBE if holds else NEVER


def _one_of(parts: list[Condition]) -> Condition:
    """Many alternatives for one column as one value, so that a long list stays cheap."""
    values = []
    for part in parts:
        if isinstance(part, Range) and part.low == part.high and part.low is not None:
            values.append((part.column, part.low))
        elif part != NEVER:
            return either_of(parts)
    columns = {column for column, _ in values}
    if len(columns) != 1:
        return either_of(parts)
    return OneOf(column=columns.pop(), values=tuple(sorted({value for _, value in values})))


def _prefix(pattern: str) -> str:
    """The part of a LIKE pattern before its first special character."""
    for place, letter in enumerate(pattern):
        if letter in "%_\\":
            return pattern[:place]
    return pattern
