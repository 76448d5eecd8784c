"""Reads the conditions of ``sql.expressions`` with the parser of statements."""

from __future__ import annotations

from typing import Any, Final

from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from sql.errors import SqlSyntaxError, StatementTooLargeError
from sql.expressions import Node, Operator
from sql.syntax.dialect import DIALECT, FOREIGN_ERRORS
from sql.syntax.lexer import lex_one

MAX_CHARACTERS: Final = 4_000
_LITERAL_TYPES: Final = {"DATE": "date", "TIMESTAMP": "timestamp", "TIMESTAMPTZ": "timestamp"}


def parse_condition(text: str) -> Node:
    """Raises ``SqlSyntaxError`` for all that is not on the list of ``sql.expressions``."""
    if len(text) > MAX_CHARACTERS:
        raise StatementTooLargeError(f"a condition has at most {MAX_CHARACTERS} characters")
    lexed = lex_one(text)  # bounds the depth before the parser, which would not come back
    try:
        trees = DIALECT.parser().parse_into(
            exp.Condition, DIALECT.tokenize(lexed.clean), lexed.clean
        )
    except (ParseError, TokenError, *FOREIGN_ERRORS) as error:
        raise SqlSyntaxError("this is no condition") from error
    tree = trees[0] if len(trees) == 1 else None
    if tree is None:
        raise SqlSyntaxError("this is no condition")
    return _node(tree)


_COMPARISONS: Final[dict[type[exp.Expr], Operator]] = {
    exp.EQ: Operator.EQ,
    exp.NEQ: Operator.NE,
    exp.LT: Operator.LT,
    exp.LTE: Operator.LE,
    exp.GT: Operator.GT,
    exp.GTE: Operator.GE,
}


def _node(tree: exp.Expr) -> Node:
    comparison = _COMPARISONS.get(type(tree))
    if comparison is not None and isinstance(tree, exp.Binary):
        return Node(operator=comparison, inner=(_node(tree.left), _node(tree.right)))
    match tree:
        case exp.Paren():
            return _node(tree.this)
        case exp.And() | exp.Or():
            chain = Operator.AND if isinstance(tree, exp.And) else Operator.OR
            return Node(operator=chain, inner=tuple([_node(each) for each in tree.flatten()]))
        case exp.Not():
            return Node(operator=Operator.NOT, inner=(_node(tree.this),))
        case exp.Is() if isinstance(tree.expression, exp.Null):
            return Node(operator=Operator.IS_NULL, inner=(_node(tree.this),))
        case exp.In() if tree.expressions:
            return _in(tree)
        case exp.Between():
            return _between(tree)
        case exp.Anonymous():
            return Node(operator=Operator.CALL, names=(tree.name.lower(), *_arguments(tree)))
        case exp.Column() | exp.Dot():
            return Node(operator=Operator.NAME, names=_parts(tree))
    return Node(operator=Operator.VALUE, value=_literal(tree))


def _in(tree: exp.In) -> Node:
    this = _node(tree.this)
    equal = tuple(Node(operator=Operator.EQ, inner=(this, _node(x))) for x in tree.expressions)
    return equal[0] if len(equal) == 1 else Node(operator=Operator.OR, inner=equal)


def _between(tree: exp.Between) -> Node:
    this = _node(tree.this)
    low = Node(operator=Operator.GE, inner=(this, _node(tree.args["low"])))
    high = Node(operator=Operator.LE, inner=(this, _node(tree.args["high"])))
    return Node(operator=Operator.AND, inner=(low, high))


def _arguments(call: exp.Anonymous) -> list[str]:
    """Names of arguments: ``load``, ``nodes.load`` or ``'load'``."""
    names: list[str] = []
    for argument in call.expressions:
        if isinstance(argument, exp.Literal) and argument.is_string:
            names.append(argument.name)
        elif isinstance(argument, exp.Column):
            names.append(_parts(argument)[-1])
        else:
            raise SqlSyntaxError(f"{call.name.lower()}(…) takes the name of a node")
    return names


def _parts(tree: exp.Expr) -> tuple[str, ...]:
    parts = tree.parts if isinstance(tree, exp.Column | exp.Dot) else [tree]
    if not all(isinstance(part, exp.Identifier) for part in parts):
        raise SqlSyntaxError("this is no condition")
    return tuple(part.name for part in parts)


def _literal(tree: exp.Expr) -> tuple[str, Any] | None:
    match tree:
        case exp.Null():
            return None
        case exp.Boolean():
            return ("boolean", bool(tree.this))
        case exp.Neg() if isinstance(tree.this, exp.Literal) and not tree.this.is_string:
            return ("decimal(38,18)", f"-{tree.this.name}")
        case exp.Literal():
            return ("string" if tree.is_string else "decimal(38,18)", tree.name)
        case exp.Cast() if isinstance(tree.this, exp.Literal):
            type_ = _LITERAL_TYPES.get(tree.to.this.value if tree.to else "")
            if type_ is not None and tree.this.is_string:
                return (type_, tree.this.name)
    raise SqlSyntaxError(
        f"a condition cannot have {tree.key.replace('_', ' ').upper()}",
        hint="compare params.NAME and nodes.NODE.result.value with values, "
        "and join with and, or, not",
    )
