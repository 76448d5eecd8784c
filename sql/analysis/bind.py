"""From names to relations: a parsed statement becomes one whose every name is known and typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from sql.analysis.columns import qualify_and_type
from sql.analysis.expand import Views
from sql.analysis.functions import check_functions
from sql.analysis.grouping import check_groups
from sql.analysis.inline import Budget, inline, size_of
from sql.analysis.names import check_found, not_found, qualified, relation_of, resolve, where
from sql.analysis.projections import LABEL, is_generator, leftmost_select, name_projections
from sql.analysis.queries import query_of
from sql.analysis.schema import schema_of
from sql.analysis.shape import MAX_INLINED_DEPTH, balance, check_shape
from sql.analysis.types import check_conditions
from sql.analysis.view import CatalogView, Relation
from sql.errors import StatementTooDeepError
from sql.statement import StatementKind, TableName
from sql.syntax.kinds import refuse
from sql.syntax.parse import Parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputColumn:
    """A column of the rows that a query gives; ``type`` is None where only the engine knows it."""

    name: str
    type: exp.DataType | None
    from_table: bool = False  #: it is a column of a table, so the type is beyond doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundStatement:
    """A statement whose names are known.

    Two trees hold the same query, for two uses:

    - ``query`` is what the author wrote (parameters bound, result columns named, stars
      and CTEs in place). Each ``exp.Table`` that names a relation, table or view, has its
      ``TableName`` in ``meta["relation"]``; tables without that entry are references to CTEs.
      Guard rules about the text look here. In an INSERT or CTAS it is the source of the rows.
    - ``scan_tree`` is for scans: every view and every CTE reference replaced by a copy of its body
      as a derived table (so a CTE used twice is there twice, an unused one not at all), then
      qualified (each ``exp.Column`` has ``table`` = the alias of its source, stars are expanded,
      every table and derived table has an alias; all identifiers quoted, in lower case) and typed
      (``annotate_types``: ``node.type``). ``EXISTS (SELECT *)`` is ``EXISTS (SELECT 1)``. Each
      remaining ``exp.Table`` is a base table with ``meta["relation"]``; there are no CTEs. It is
      not simplified, nothing is pushed down, and no literal is changed: scans may do so on a copy.
      A recursive CTE is ``anchor UNION ALL step`` with the reference to itself a one-row SELECT
      without tables, so each scan of it counts once.

    Neither tree may be changed by who gets it. Both are None for statements without a query (DDL,
    SHOW, INSERT … VALUES has one).

    ``relations`` are the base tables of the query, also those under views and in CTEs that nobody
    uses (the engine must find these too); ``reads`` are the tables and views that the text itself
    names in its query, for the check of rights. ``target`` is the table that an INSERT writes to.
    ``views`` are the queries of all views under the statement, as written, tables marked, each
    after those that it names.
    """

    kind: StatementKind
    statement: exp.Expr
    query: exp.Query | None
    scan_tree: exp.Query | None
    relations: Mapping[TableName, Relation]
    reads: tuple[TableName, ...]
    output: tuple[OutputColumn, ...]  #: of the query; () where only the engine knows how many
    target: Relation | None = None
    views: Mapping[TableName, exp.Query] = field(default_factory=dict)


def bind(parsed: Parsed, *, view: CatalogView, database: str) -> BoundStatement:
    """Give every name of ``parsed``, whose tree is changed, its meaning in ``view``.

    Parameters must be bound already. Raises the errors of ``sql.errors`` with their places.
    """
    if parsed.tree is None:
        raise ValueError(f"{parsed.kind} has no tree to bind")
    try:
        return _bind(parsed, view, database.lower())
    except RecursionError as error:
        raise StatementTooDeepError("the statement nests too deep to be understood") from error


def _bind(parsed: Parsed, view: CatalogView, database: str) -> BoundStatement:
    tree, text = parsed.tree, parsed.text
    assert tree is not None
    budget = Budget()
    budget.spend(size_of(tree))
    query = query_of(tree)
    if query is None:
        return BoundStatement(
            kind=parsed.kind, statement=tree, query=None, scan_tree=None,
            relations={}, reads=(), output=(),
        )  # fmt: skip
    refuse_parts(query)
    check_shape(query)
    reads = resolve(query, database=database, view=view, text=text)
    check_found(query, view=view, text=text)
    check_functions(query, parsed)
    views = Views(view=view)
    views.load(reads)
    name_projections(query, parsed.tokens, parsed.text)
    scan_tree = inline(query.copy(), views.inlined(budget), budget)
    check_shape(scan_tree, depth_limit=MAX_INLINED_DEPTH)
    balance(scan_tree)
    _plain_exists(scan_tree)
    _name_base_tables(scan_tree)
    scan_tree = qualify_and_type(scan_tree, schema_of(views.tables.values()), text)
    Budget().spend(size_of(scan_tree))  # stars and aliases are written out now
    check_conditions(scan_tree, text)
    check_groups(scan_tree, text)
    return BoundStatement(
        kind=parsed.kind,
        statement=tree,
        query=query,
        scan_tree=scan_tree,
        relations=views.tables,
        views=views.bodies,
        reads=tuple(reads),
        output=_output(scan_tree, _spellings(query, views.tables.values())),
        target=_target(tree, view, database, text),
    )


def refuse_parts(query: exp.Query) -> None:
    """Refuse by name what runs other programs, changes other things or would mean another."""
    for node in query.find_all(*_PARTS, exp.DML, exp.DDL, exp.Command):
        if not isinstance(node, exp.Query):
            refuse(_PARTS.get(type(node), f"{node.key.upper()} within a query"))
    for kind in query.find_all(exp.DataType):
        if kind.this in _FOREIGN_TYPES:
            refuse(f"the type {kind.this.value}", "keep such values as strings")


_PARTS: Final[dict[type[exp.Expr], str]] = {
    exp.Parameter: "a variable",
    exp.QueryTransform: "TRANSFORM … USING",
    exp.Into: "SELECT … INTO",
}


#: sqlglot would print a cast to these as one to a moment of today, or as ``to_json``.
_FOREIGN_TYPES: Final = frozenset({exp.DType.TIME, exp.DType.JSON})


def _plain_exists(tree: exp.Query) -> None:
    """What EXISTS selects does not matter, so it shall not count as read."""
    for exists in tree.find_all(exp.Exists):
        select = exists.this
        if isinstance(select, exp.Select) and select.is_star and not select.args.get("distinct"):
            select.set("expressions", [exp.Literal.number(1)])


def _name_base_tables(tree: exp.Query) -> None:
    for table in tree.find_all(exp.Table):
        name = relation_of(table)
        if name is not None:
            if not table.alias:
                written = exp.to_identifier(table.name, quoted=True)
                table.set("alias", exp.TableAlias(this=written))
            table.set("this", exp.to_identifier(name.name, quoted=True))
            table.set("db", exp.to_identifier(name.database, quoted=True))
            table.set("catalog", None)


def _output(scan_tree: exp.Query, spellings: Mapping[str, str]) -> tuple[OutputColumn, ...]:
    """The columns of the result, () where a generator makes an unknown number of them."""
    select = leftmost_select(scan_tree)
    if select is None or any(
        projection.is_star or (is_generator(projection.unalias()) and not _single(projection))
        for projection in select.expressions
    ):
        return ()
    tables = (
        {
            table.alias_or_name
            for table in scan_tree.find_all(exp.Table)
            if table.parent_select is scan_tree and relation_of(table) is not None
        }
        if select is scan_tree
        else set()
    )
    return tuple(_output_column(projection, tables, spellings) for projection in select.expressions)


def _output_column(
    projection: exp.Expr, tables: set[str], spellings: Mapping[str, str]
) -> OutputColumn:
    inner = projection.unalias()
    known = projection.type is not None and projection.type.this is not exp.DType.UNKNOWN
    return OutputColumn(
        name=_label(projection, spellings),
        type=projection.type if known else None,
        from_table=known and isinstance(inner, exp.Column) and inner.table in tables,
    )


def _single(projection: exp.Expr) -> bool:
    return isinstance(projection, exp.Alias) and LABEL in projection.meta


def _label(projection: exp.Expr, spellings: Mapping[str, str]) -> str:
    label = projection.meta_get(LABEL)
    inner = projection.unalias()
    if label is None and isinstance(inner, exp.Column):
        label = inner.this.meta_get(LABEL)
    elif label is None and isinstance(inner, exp.Dot):  # a field of a struct
        label = inner.expression.meta_get(LABEL)
    name = projection.alias_or_name
    return str(label) if label is not None else spellings.get(name, name)


def _spellings(query: exp.Query, tables: Iterable[Relation]) -> Mapping[str, str]:
    """Names as they are written, by their lower-case form, for columns that a star stands for."""
    names = [column.name for table in tables for column in table.columns]
    names += [alias.alias for alias in query.find_all(exp.Alias)]
    return {name.lower(): name for name in names}


def _target(tree: exp.Expr, view: CatalogView, database: str, text: str) -> Relation | None:
    if not isinstance(tree, exp.Insert):
        return None
    table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
    if not isinstance(table, exp.Table):
        refuse("INSERT OVERWRITE DIRECTORY")
    name = qualified(table, database=database, view=view, text=text)
    if name not in view.relations:
        raise not_found(name, view, **where(table, text))
    return view.relations[name]
