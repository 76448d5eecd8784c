"""Which relations a query names: CTEs told apart from tables, and whatever is no name refused."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Final

from sqlglot import exp

from sql.analysis.view import CatalogView
from sql.errors import (
    DatabaseNotFoundError,
    FunctionNotFoundError,
    GuardRefusedError,
    SqlError,
    SqlSyntaxError,
    TableNotFoundError,
)
from sql.statement import TableName
from sql.syntax.kinds import refuse
from sql.syntax.places import place

#: Key of the ``TableName`` in ``exp.Table.meta``.
RELATION: Final = "relation"

#: Key in ``exp.Identifier.meta`` of the view whose text an identifier comes from.
VIEW: Final = "view"

#: Functions that may stand in FROM. All others could read files or reach other systems.
TABLE_FUNCTIONS: Final = frozenset(
    {
        "explode", "explode_outer", "inline", "inline_outer", "json_tuple", "posexplode",
        "posexplode_outer", "range", "stack", "generateseries", "generate_series", "unnest",
    }
)  # fmt: skip

#: What Spark reads a path with when it stands for a database: ``parquet.`/etc` ``.
_FORMATS: Final = frozenset(
    """avro binaryfile csv delta hudi iceberg image jdbc json libsvm noop orc parquet rate
    socket text xml""".split()  # noqa: SIM905
)


def relation_of(table: exp.Table) -> TableName | None:
    """The relation that a table of a resolved tree names; None for a CTE or a function."""
    name = table.meta_get(RELATION)
    return name if isinstance(name, TableName) else None


def resolve(query: exp.Expr, *, database: str, view: CatalogView, text: str) -> list[TableName]:
    """Mark each table of ``query`` that is no CTE with its name; the names, each once, in order.

    Looks nothing up. Raises ``GuardRefusedError`` for a path in the place of a name,
    ``FunctionNotFoundError`` for a table function that is not on the list, and
    ``UnsupportedStatementError`` for time travel and names of three parts.
    """
    found: dict[TableName, None] = {}
    for table in query.find_all(exp.Table):
        if _is_function(table, text) or _names_cte(table):
            continue
        name = qualified(table, database=database, view=view, text=text)
        table.meta[RELATION] = name
        found[name] = None
    return list(found)


def qualified(table: exp.Table, *, database: str, view: CatalogView, text: str) -> TableName:
    """The full name of what ``table`` says, in lower case."""
    for part in table.parts:
        if not isinstance(part, exp.Identifier):
            raise SqlSyntaxError("a name of a table is needed here", **where(table, text))
    parts = [part.name.lower() for part in table.parts]
    if "" in parts:
        raise SqlSyntaxError("a name cannot be empty", **where(table, text))
    if len(parts) > 2:
        refuse(f"the name {'.'.join(parts)} of {len(parts)} parts", "write database.table")
    if any(table.args.get(key) for key in ("when", "version", "changes")):
        refuse("reading an older version of a table")
    named_path = any(mark in parts[-1] for mark in "/\\:*")
    if len(parts) == 2 and (
        named_path or (parts[0] in _FORMATS and parts[0] not in view.databases)
    ):
        raise GuardRefusedError(
            "files cannot be read by their path",
            hint="register them: CREATE TABLE … LOCATION, or dli table register",
            rule="path_relation",
            **where(table, text),
        )
    return TableName(database=parts[0] if len(parts) == 2 else database.lower(), name=parts[-1])


def check_found(query: exp.Expr, *, view: CatalogView, text: str) -> None:
    """Raise ``TableNotFoundError`` for the first marked table that ``view`` does not have."""
    for table in query.find_all(exp.Table):
        name = relation_of(table)
        if name is not None and name not in view.relations:
            raise not_found(name, view, **where(table, text))


def not_found(name: TableName, view: CatalogView, **place_: Any) -> SqlError:
    """The error for a name that is not in the catalog, with what was probably meant."""
    if view.databases and name.database not in view.databases:
        near = get_close_matches(name.database, view.databases, n=1, cutoff=0.6)
        return DatabaseNotFoundError(
            f"there is no database {name.database}",
            hint=f"did you mean {near[0]}?" if near else None,
            **place_,
        )
    similar = view.similar.get(name, ())
    return TableNotFoundError(
        f"there is no table {name}",
        hint=f"did you mean {similar[0]}?" if similar else None,
        **place_,
    )


def where(node: exp.Expr, text: str) -> dict[str, Any]:
    """Line and column of the first identifier in ``node`` that knows its place."""
    starts = [
        start
        for identifier in node.find_all(exp.Identifier)
        if isinstance(start := identifier.meta_get("start"), int)
    ]
    if not starts:
        return {}
    at = place(text, min(starts))
    return {"line": at.line, "column": at.column}


def _is_function(table: exp.Table, text: str) -> bool:
    function = table.this
    if not isinstance(function, exp.Func):
        return False
    name = function.name if isinstance(function, exp.Anonymous) else function.sql_name()
    if name.lower() not in TABLE_FUNCTIONS:
        raise FunctionNotFoundError(
            f"there is no table function {name.lower()}",
            hint="in FROM there are range, explode, posexplode, inline, stack and json_tuple",
            **where(table, text),
        )
    return True


def _names_cte(table: exp.Table) -> bool:
    """Whether a WITH around the table defines its name, as far as it can be seen from there."""
    if table.args.get("db"):
        return False
    name = table.name.lower()
    return any(name in names for names in _visible_ctes(table))


def _visible_ctes(node: exp.Expr) -> Iterator[list[str]]:
    child: exp.Expr = node
    parent = node.parent
    while parent is not None:
        if isinstance(parent, exp.With):
            ctes = parent.expressions
            last = next(index for index, cte in enumerate(ctes) if cte is child)
            yield [cte.alias.lower() for cte in ctes[: last + bool(parent.recursive)]]
            if parent.parent is None:
                return
            child, parent = parent.parent, parent.parent.parent
            continue
        with_ = parent.args.get("with_")
        if with_ is not None:
            yield [cte.alias.lower() for cte in with_.expressions]
        child, parent = parent, parent.parent
