"""Tells of a text, for ``sql.touched``, from its tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from sql.analysis.names import qualified, resolve
from sql.analysis.queries import query_of
from sql.analysis.view import CatalogView
from sql.ddl.databases import drop_table
from sql.statement import StatementKind, TableName
from sql.syntax.parameters import bind_parameters
from sql.syntax.parse import Parsed, parse
from sql.touched import Touched

_NONE: frozenset[TableName] = frozenset()
_DROPS = frozenset({StatementKind.DROP_TABLE, StatementKind.DROP_VIEW})


def find_touched(text: str, *, database: str) -> Touched:
    """As ``sql.touched.touched``."""
    parsed = parse(text)
    if parsed.kind in _DROPS:
        command = drop_table(parsed, database=database)
        return Touched(drops=frozenset({TableName(database=command.database, name=command.name)}))
    tree = parsed.tree
    if tree is None:
        return Touched()
    target = _target(parsed, tree, database)
    query = query_of(tree)
    reads = _NONE
    if query is not None:
        view = _any_database()
        reads = frozenset(resolve(query, database=database, view=view, text=parsed.text))
    if parsed.explain is not None:
        return Touched(reads=reads)
    return Touched(
        reads=reads,
        creates=target if isinstance(tree, exp.Create) else _NONE,
        appends=target if parsed.kind is StatementKind.INSERT else _NONE,
        overwrites=target if parsed.kind is StatementKind.INSERT_OVERWRITE else _NONE,
    )


def check_text(text: str, parameters: Mapping[str, object] | Sequence[object]) -> None:
    """As ``sql.touched.check_text``."""
    nothing = (
        dict.fromkeys(parameters) if isinstance(parameters, Mapping) else [None] * len(parameters)
    )
    bind_parameters(parse(text).tree, nothing)


def _target(parsed: Parsed, tree: exp.Expr, database: str) -> frozenset[TableName]:
    if not isinstance(tree, exp.Insert | exp.Create):
        return _NONE
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if not isinstance(table, exp.Table):
        return _NONE
    view = _any_database()
    return frozenset({qualified(table, database=database, view=view, text=parsed.text)})


def _any_database() -> CatalogView:
    """A catalog in which a database may be called as a format is: which there are is unknown."""
    return CatalogView(databases=_FORMATS)


_FORMATS = ("csv", "delta", "json", "orc", "parquet", "text")
