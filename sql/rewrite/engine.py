"""What the engine gets: the author's query with tables as temp views and nothing else changed.

It is written from a tree and never spliced from text, so the engine reads what was analysed. Names
of temp views are ``database.table`` as one quoted name, which both engines take (STORAGE.md § 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from sql.analysis.bind import BoundStatement
from sql.analysis.expand import name_columns
from sql.analysis.names import relation_of, resolve
from sql.analysis.projections import name_inner, name_projections
from sql.analysis.queries import query_of
from sql.analysis.view import CatalogView, Relation
from sql.errors import StatementTooDeepError, UnsupportedStatementError
from sql.rewrite.calls import engine_tree
from sql.statement import TableName
from sql.syntax.dialect import render
from sql.syntax.parameters import Parameters, bind_parameters
from sql.syntax.parse import Parsed, parse


def engine_sql(query: exp.Query) -> str:
    """``query``, which may be changed, as text. Raises ``StatementTooDeepError``.

    Spark puts values of its configuration and environment in the place of ``${…}`` before it
    parses, within strings too, so none may reach it: in strings the brace is escaped, which both
    engines read as the brace; names that hold one are refused.
    """
    for name in query.find_all(exp.Identifier):
        if "${" in name.name:
            raise UnsupportedStatementError("a name cannot hold ${")
    try:
        text = render(query, copy=False)
    except RecursionError as error:
        raise StatementTooDeepError("the statement nests too deep to be written") from error
    return text.replace("${", "$\\{")


def view_name(table: TableName) -> str:
    """The name of the temp view that stands for ``table`` in an engine."""
    return str(table)


def engine_query(
    parsed: Parsed,
    bound: BoundStatement,
    *,
    view: CatalogView,
    database: str,
    parameters: Parameters,
) -> exp.Query:
    """The query of ``bound`` as a new tree over temp views."""
    tree = engine_tree(parsed)
    bind_parameters(tree, parameters)
    query = _marked(tree, database=database, view=view, text=parsed.text)
    name_projections(query, parsed.tokens, parsed.text)
    views: dict[TableName, exp.Query] = {}
    for name in bound.views:  # each after those that it names
        views[name] = _over_temp_views(_view_body(view.relations[name], view), views)
    return _over_temp_views(query, views)


def _view_body(relation: Relation, view: CatalogView) -> exp.Query:
    definition = relation.definition
    text = definition.view_sql or ""
    database = definition.view_database or definition.database
    body = _marked(engine_tree(parse(text)), database=database, view=view, text=text)
    name_inner(body)
    return name_columns(body, relation)


def _marked(tree: exp.Expr, *, database: str, view: CatalogView, text: str) -> exp.Query:
    query = query_of(tree)
    assert query is not None
    resolve(query, database=database, view=view, text=text)
    return query


def _over_temp_views(query: exp.Query, views: Mapping[TableName, exp.Query]) -> exp.Query:
    """Put temp views in the place of tables, and queries in the place of catalog views."""
    names = set()
    for table in list(query.find_all(exp.Table)):
        name = relation_of(table)
        if name is None:
            continue
        names.add(name)
        if not table.alias:
            written = exp.to_identifier(table.name, quoted=True)
            old = table.args.get("alias")
            columns = old.columns if isinstance(old, exp.TableAlias) else []
            table.set("alias", exp.TableAlias(this=written, columns=columns))
        if name in views:
            replacement = exp.Subquery(this=views[name].copy(), alias=table.args["alias"])
            for key in ("joins", "laterals", "pivots", "sample"):
                replacement.set(key, table.args.get(key))
            table.replace(replacement)
        else:
            table.set("this", exp.to_identifier(view_name(name), quoted=True))
            table.set("db", None)
            table.set("catalog", None)
    _strip_databases(query, names)
    return query


def _strip_databases(query: exp.Query, names: set[TableName]) -> None:
    """Temp views have no database, so neither has a column: ``db.t.c`` becomes ``t.c``."""
    for column in query.find_all(exp.Column):
        if column.args.get("db"):
            name = TableName(database=column.db.lower(), name=column.table.lower())
            if name in names:
                column.set("db", None)
