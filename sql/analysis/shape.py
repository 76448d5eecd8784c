"""The shape of a tree: bounds on what passes cannot take, and long conditions made shallow.

Passes over a tree recurse, and some climb from each node to the root: a condition of five thousand
ANDs, parsed as a chain of that depth, took seventeen seconds. Balanced, it takes half of one.
"""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from sql.errors import SqlSyntaxError, StatementTooDeepError, StatementTooLargeError

MAX_TREE_DEPTH: Final = 300
MAX_INLINED_DEPTH: Final = 600  #: WITH written out: each of a chain is a few levels
MAX_SELECTS: Final = 1_000
MAX_STARS: Final = 200
_LONG: Final = 16  #: operands of a chain that is worth balancing


def check_shape(tree: exp.Expr, *, depth_limit: int = MAX_TREE_DEPTH) -> None:
    """Raise ``StatementTooDeepError`` or ``StatementTooLargeError`` for a tree out of bounds.

    Chains of AND, of OR and of set operations count as one level: they are not followed by
    recursion.
    """
    selects = stars = 0
    todo = [(tree, 0)]
    while todo:
        node, depth = todo.pop()
        if depth > depth_limit:
            raise StatementTooDeepError(
                f"the statement nests deeper than {depth_limit} levels",
                hint="split it by WITH, or by a view",
            )
        if isinstance(node, exp.Select):
            selects += 1
            if not node.expressions:
                raise SqlSyntaxError("SELECT needs something to select")
        stars += isinstance(node, exp.Star) and isinstance(node.parent, exp.Select | exp.Column)
        for child in node.iter_expressions():
            chained = type(child) is type(node) and isinstance(node, _CHAINS)
            todo.append((child, depth if chained else depth + 1))
    if selects > MAX_SELECTS:
        raise StatementTooLargeError(f"the statement has more than {MAX_SELECTS} SELECTs")
    if stars > MAX_STARS:
        raise StatementTooLargeError(f"the statement has more than {MAX_STARS} stars")


_CHAINS: Final = (exp.And, exp.Or, exp.SetOperation)


def balance(tree: exp.Expr) -> None:
    """Turn long chains of AND and of OR into trees of logarithmic depth, with the same meaning."""
    for node in list(tree.find_all(exp.And, exp.Or)):
        if type(node.parent) is type(node):
            continue
        operands = _operands(node)
        if len(operands) < _LONG:
            continue
        kind = type(node)
        while len(operands) > 1:
            pairs = zip(operands[::2], operands[1::2], strict=False)
            rest = operands[-1:] if len(operands) % 2 else []
            operands = [kind(this=left, expression=right) for left, right in pairs] + rest
        node.replace(operands[0])


def _operands(chain: exp.Expr) -> list[exp.Expr]:
    """The operands of a chain from left to right."""
    found: list[exp.Expr] = []
    todo = [chain]
    while todo:
        node = todo.pop()
        if type(node) is type(chain):
            todo += [node.args["expression"], node.args["this"]]
        else:
            found.append(node)
    return found
