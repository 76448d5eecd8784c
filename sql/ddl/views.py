"""CREATE VIEW: the text of its query is kept as it was written, its columns as they are now."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from sql.analysis.bind import BoundStatement
from sql.analysis.names import relation_of, resolve
from sql.analysis.projections import leftmost_select
from sql.analysis.queries import query_of
from sql.analysis.schema import ddl_type
from sql.analysis.view import CatalogView
from sql.ddl.tables import column_defs, comment_of, create_name
from sql.errors import ColumnCountError, SqlError
from sql.rewrite.calls import engine_tree
from sql.statement import TableName
from sql.syntax.dialect import render
from sql.syntax.parse import Parsed
from storage.catalog.commands import CreateView
from storage.catalog.definitions import Column


def create_view(
    parsed: Parsed, bound: BoundStatement, *, database: str, view: CatalogView
) -> CreateView:
    """``CREATE [OR REPLACE] VIEW [IF NOT EXISTS] [d.]v [(columns)] [COMMENT …] AS query``."""
    create = bound.statement
    assert isinstance(create, exp.Create)
    name = create_name(create, database=database, view=view, text=parsed.text)
    if name in bound.reads or name in bound.views:
        raise SqlError(f"view {name} cannot refer to itself")
    columns = _columns(create, bound, name)
    return CreateView(
        database=name.database,
        name=name.name,
        columns=columns,
        sql=_fixed(bound, _query_text(parsed, database, view, name)),
        if_not_exists=bool(create.args.get("exists")),
        or_replace=bool(create.args.get("replace")),
        comment=comment_of(create),
    )


def _columns(create: exp.Create, bound: BoundStatement, name: TableName) -> tuple[Column, ...]:
    if not bound.output:
        raise SqlError(
            "how many columns the query gives is known to the engine only",
            hint="name them: SELECT a, b FROM (SELECT …)",
        )
    found = [
        Column(name=column.name, type=ddl_type(column.type) if column.type is not None else "")
        for column in bound.output
    ]
    if isinstance(create.this, exp.Schema):
        named = list(column_defs(create.this))
        if len(named) != len(found):
            raise ColumnCountError(
                f"view {name} names {len(named)} columns, its query gives {len(found)}"
            )
        found = [
            Column(name=written.name, type=column.type, comment=written.comment)
            for written, column in zip(named, found, strict=True)
        ]
    if len({column.name.lower() for column in found}) < len(found):
        raise SqlError(
            f"two columns of view {name} have the same name", hint="give each its own: AS"
        )
    return tuple(found)


def _fixed(bound: BoundStatement, text: str) -> str:
    """``text`` with the columns that its star means now: views do not grow with their tables."""
    select = leftmost_select(bound.query) if bound.query is not None else None
    names = [column.name for column in bound.output]
    if select is None or not select.is_star or len({name.lower() for name in names}) < len(names):
        return text
    columns = (exp.column(name, quoted=True) for name in names)
    return f"{render(exp.select(*columns))} FROM ({text}) AS _star"


def _query_text(parsed: Parsed, database: str, view: CatalogView, name: TableName) -> str:
    """The query as it was written, or with full names where it was written for another database.

    Names in a view are looked up in the view's own database.
    """
    if database.lower() != name.database:
        return _qualified_text(parsed, database, view)
    depth = 0
    for token in parsed.tokens:
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0 and token.token_type is TokenType.ALIAS:
            return parsed.text[token.end + 1 : parsed.tokens[-1].end + 1].strip()
    raise SqlError("a view needs AS and a query")


def _qualified_text(parsed: Parsed, database: str, view: CatalogView) -> str:
    query = query_of(engine_tree(parsed))
    assert query is not None
    resolve(query, database=database, view=view, text=parsed.text)
    for table in query.find_all(exp.Table):
        relation = relation_of(table)
        if relation is not None and not table.args.get("db"):
            table.set("db", exp.to_identifier(relation.database, quoted=True))
    return render(query)
