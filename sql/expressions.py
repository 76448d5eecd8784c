"""Conditions outside of statements: a text to a small tree in which only a little can be said.

Comparisons, ``and``, ``or``, ``not``, ``in``, ``between``, ``is null``, literals, dotted names and
calls of one name with one name. What names and calls mean is for the caller.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Operator(StrEnum):
    """What a node of the tree does with those below it."""

    VALUE = "value"
    NAME = "name"
    CALL = "call"
    AND = "and"
    OR = "or"
    NOT = "not"
    IS_NULL = "is null"
    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of a condition.

    ``value`` of a literal is (type, value), None for NULL. ``names`` are the parts of a name, or
    the name of a call and of its argument.
    """

    operator: Operator
    value: Any = None
    names: tuple[str, ...] = ()
    inner: tuple[Node, ...] = ()


def read_condition(text: str) -> Node:
    """Raises ``SqlSyntaxError`` for all that is not on the list above.

    The parser is loaded with the first condition: most services never see one.
    """
    tree: Node = importlib.import_module("sql.analysis.conditions").parse_condition(text)
    return tree
