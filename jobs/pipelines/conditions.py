"""Conditions of nodes: comparisons of parameters and outputs, and of how other nodes ended.

``params.full or nodes.count.result.value > 1000``, ``failed(load) and not succeeded(spare)``. They
are written as SQL's, read by the parser of ``sql``, and turned into a small tree of our own, in
which nothing else can be said. NULL is as in SQL: a comparison with it is neither true nor false,
and a condition holds only where it is true.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jobs.pipelines.errors import ValueMissingError
from jobs.pipelines.references import Lookup, Ref, ReferenceFormError, parse_ref
from jobs.pipelines.values import Family, Typed, comparable, family_of
from sql.expressions import Node, Operator, read_condition

#: What a condition may ask of another node.
STATUSES: Final = ("succeeded", "failed", "skipped")
_COMPARE: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}


class ConditionError(ValueError):
    """A text that is no condition; its message is for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """``succeeded(load)``: how a node ended."""

    status: str
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition that was read; the leaves of ``root`` are values, refs and statuses."""

    text: str
    root: Node

    def refs(self) -> tuple[Ref, ...]:
        """All values that it compares."""
        return tuple(leaf for leaf in _leaves(self.root) if isinstance(leaf, Ref))

    def statuses(self) -> tuple[Status, ...]:
        """All nodes whose end it asks for."""
        return tuple(leaf for leaf in _leaves(self.root) if isinstance(leaf, Status))

    def nodes(self) -> frozenset[str]:
        """All nodes that it names: they end before it can be told."""
        named = [ref.node for ref in self.refs() if ref.node is not None]
        return frozenset(named) | {status.node for status in self.statuses()}

    def holds(self, lookup: Lookup, ended: Callable[[str], str]) -> bool:
        """Whether it is true; ``ended`` tells how a node ended, as one of ``STATUSES``.

        Raises ``ValueMissingError`` for values that cannot be compared.
        """
        return _truth(self.root, lookup, ended) is True


def read(text: str) -> Condition:
    """Raises ``ConditionError``, and ``SqlError`` for what is no expression at all."""
    return Condition(text=text, root=_own(read_condition(text)))


def check(condition: Condition, type_of: Callable[[Ref], str | None]) -> None:
    """Raise ``ConditionError`` for what can never be compared, as far as types are known."""
    if _check(condition.root, type_of) not in (Family.BOOLEAN, None):
        raise ConditionError("is a value, not a condition; compare it with something")


def _own(node: Node) -> Node:
    """The tree with references and statuses in the places of names and calls."""
    match node.operator:
        case Operator.NAME:
            try:
                return Node(operator=Operator.VALUE, value=parse_ref(".".join(node.names)))
            except ReferenceFormError as error:
                raise ConditionError(str(error)) from error
        case Operator.CALL:
            return Node(operator=Operator.VALUE, value=_status(node))
        case Operator.VALUE:
            _check_literal(node.value)
    return Node(
        operator=node.operator, value=node.value, inner=tuple(_own(each) for each in node.inner)
    )


def _check_literal(value: Any) -> None:
    literal = _literal(value)
    if literal is None:
        return
    try:
        comparable(literal)
    except (ValueError, ArithmeticError, ValueMissingError) as error:
        raise ConditionError(f"{literal.value!r} is no {literal.type}") from error


def _status(node: Node) -> Status:
    name, *arguments = node.names
    if name not in STATUSES or len(arguments) != 1:
        known = ", ".join(f"{each}(node)" for each in STATUSES)
        raise ConditionError(f"{name}(…) cannot be asked here; there are {known}")
    return Status(status=name, node=arguments[0])


def _leaves(node: Node) -> Iterator[Any]:
    if node.operator is Operator.VALUE:
        yield node.value
    for inner in node.inner:
        yield from _leaves(inner)


def _value(node: Node, lookup: Lookup, ended: Callable[[str], str]) -> Any:
    """True, False, None, or a typed value at a leaf."""
    match node.operator:
        case Operator.VALUE:
            return _leaf(node.value, lookup, ended)
        case Operator.NOT:
            inner = _truth(node.inner[0], lookup, ended)
            return None if inner is None else not inner
        case Operator.AND | Operator.OR:
            decides = node.operator is Operator.OR
            found = [_truth(each, lookup, ended) for each in node.inner]
            return decides if decides in found else None if None in found else not decides
        case Operator.IS_NULL:
            inner = _value(node.inner[0], lookup, ended)
            return inner is None or (isinstance(inner, Typed) and inner.value is None)
    left, right = (_typed(each, lookup, ended) for each in node.inner)
    families = {family_of(left.type), family_of(right.type)}
    wanted = next((each for each in (Family.TIMESTAMP, Family.DATE) if each in families), None)
    first, second = comparable(left, wanted=wanted), comparable(right, wanted=wanted)
    if first is None or second is None:
        return None
    if not isinstance(first, type(second)):
        raise _mismatch(left.type, right.type)
    return _COMPARE[node.operator](first, second)


def _leaf(value: Any, lookup: Lookup, ended: Callable[[str], str]) -> Any:
    if isinstance(value, Status):
        return ended(value.node) == value.status
    if isinstance(value, Ref):
        return lookup(value)
    return _literal(value)


def _truth(node: Node, lookup: Lookup, ended: Callable[[str], str]) -> bool | None:
    found = _value(node, lookup, ended)
    if isinstance(found, Typed):
        if family_of(found.type) is not Family.BOOLEAN:
            raise _mismatch(found.type, "boolean")
        found = found.value
    assert found is None or isinstance(found, bool)
    return found


def _typed(node: Node, lookup: Lookup, ended: Callable[[str], str]) -> Typed:
    found = _value(node, lookup, ended)
    if isinstance(found, Typed):
        return found
    return Typed(type="boolean", value=found)


def _literal(value: Any) -> Typed | None:
    return Typed(type=value[0], value=value[1]) if isinstance(value, tuple) else None


def _mismatch(first: str, second: str) -> ValueMissingError:
    return ValueMissingError(f"{first} and {second} cannot be compared")


def _check(node: Node, type_of: Callable[[Ref], str | None]) -> Family | None:
    """The family of what the tree gives; None where nobody knows."""
    if node.operator is Operator.VALUE:
        return _leaf_family(node.value, type_of)
    families = [_check(each, type_of) for each in node.inner]
    if node.operator in _COMPARE:
        known = {family for family in families if family is not None}
        dated = {Family.DATE, Family.TIMESTAMP, Family.STRING}
        if len(known) > 1 and not (known <= dated and known != {Family.STRING}):
            first, second = sorted(known)
            raise ConditionError(f"{first} and {second} cannot be compared")
    elif node.operator is not Operator.IS_NULL:
        for family in families:
            if family not in (Family.BOOLEAN, None):
                raise ConditionError(f"{node.operator} joins conditions, and this is a {family}")
    return Family.BOOLEAN


def _leaf_family(value: Any, type_of: Callable[[Ref], str | None]) -> Family | None:
    if isinstance(value, Status):
        return Family.BOOLEAN
    if isinstance(value, Ref):
        type_ = type_of(value)
        return None if type_ is None else family_of(type_)
    literal = _literal(value)
    return None if literal is None else family_of(literal.type)
