"""From names to relations: a parsed statement becomes one whose every name is known and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from sql.analysis.view import Relation
from sql.statement import StatementKind, TableName


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputColumn:
    """A column of the rows that a query gives; ``type`` is None where only the engine knows it."""

    name: str
    type: exp.DataType | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundStatement:
    """A statement whose names are known.

    Two trees hold the same query, for two uses:

    - ``query`` is what the author wrote (parameters bound, nothing qualified, stars and CTEs in
      place). Each ``exp.Table`` that names a relation, table or view, has its ``TableName`` in
      ``meta["relation"]``; tables without that entry are references to CTEs. Guard rules about
      the text look here. In an INSERT or CTAS it is the source of the rows.
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
    """

    kind: StatementKind
    statement: exp.Expr
    query: exp.Query | None
    scan_tree: exp.Query | None
    relations: Mapping[TableName, Relation]
    reads: tuple[TableName, ...]
    output: tuple[OutputColumn, ...]
    target: Relation | None = None
