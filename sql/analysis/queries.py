"""The query within a statement, in one form: what gives rows is always an ``exp.Query``."""

from __future__ import annotations

from sqlglot import exp


def query_of(tree: exp.Expr) -> exp.Query | None:
    """The query that gives rows within a statement, made one where it is VALUES or TABLE t."""
    match tree:
        case exp.Query():
            return tree
        case exp.Values():
            return _select_from(tree)
        case exp.Insert():
            source = tree.args.get("source")
            inner = source if isinstance(source, exp.Table) else tree.expression
        case exp.Create():
            inner = tree.expression
        case _:
            return None
    if isinstance(inner, exp.Query):
        query = inner
    elif isinstance(inner, exp.Values | exp.Table):
        _defaults_to_null(inner)
        query = _select_from(inner)
    else:
        return None
    with_ = tree.args.get("with_")
    if with_ is not None:  # WITH … INSERT INTO …: the names are for the query
        query.set("with_", with_.pop())
    tree.set("source", None)
    tree.set("expression", query)
    return query


def _defaults_to_null(values: exp.Expr) -> None:
    """A column has no other default than NULL."""
    for word in list(values.find_all(exp.Var)):
        if isinstance(word.parent, exp.Tuple | exp.Paren) and word.name.upper() == "DEFAULT":
            word.replace(exp.null())


def _select_from(source: exp.Expr) -> exp.Select:
    source = source.copy()
    if isinstance(source, exp.Values) and not source.alias:
        width = len(source.expressions[0].expressions) if source.expressions else 0
        source.set(
            "alias",
            exp.TableAlias(
                this=exp.to_identifier("_values"),
                columns=[exp.to_identifier(f"col{index + 1}") for index in range(width)],
            ),
        )
    return exp.select("*").from_(source)
