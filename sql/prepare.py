"""The one door: from a text to everything that is known of it before it runs.

Pure: the catalog comes as a value, and nothing here starts, asks or waits. Checking a syntax,
estimating, explaining and running are this function, and what is made of its outcome.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlglot import exp

from sql.analysis.bind import BoundStatement, bind
from sql.analysis.expand import read_view
from sql.analysis.names import qualified, resolve
from sql.analysis.queries import query_of
from sql.analysis.repeatable import repeatable
from sql.analysis.view import CatalogView, Relation
from sql.cost.estimate import Estimate, estimate
from sql.ddl.databases import create_database, drop_database, drop_table
from sql.ddl.show import describe, show
from sql.ddl.tables import create_as_target, create_name, create_table
from sql.ddl.views import create_view
from sql.errors import (
    DatabaseNotFoundError,
    GuardRefusedError,
    StatementTooDeepError,
    TableAlreadyThereError,
)
from sql.guard.api import Candidate
from sql.guard.limits import GuardLimits
from sql.guard.runner import run
from sql.rewrite.engine import engine_query, engine_sql, view_name
from sql.rewrite.writes import create_select, create_target, insert_select, insert_target
from sql.scan.scanset import scans
from sql.statement import (
    Binding,
    Finding,
    FindingLevel,
    PreparedStatement,
    Repeatable,
    StatementKind,
    TableName,
    WriteTarget,
)
from sql.syntax.parameters import Parameters, bind_parameters
from sql.syntax.parse import Parsed, parse
from storage.catalog.definitions import TableFormat


def missing(text: str, *, view: CatalogView, database: str) -> tuple[TableName, ...]:
    """Names that must be looked up before ``text`` can be prepared, each once.

    Views that ``view`` has are followed; so the caller looks the names up, puts them into the view
    (or into its ``absent``) and asks again until nothing is missing. Raises as ``prepare`` does for
    what is wrong with the text.
    """
    parsed = parse(text)
    todo = _named(parsed, view, database)
    seen: dict[TableName, None] = {}
    while todo:
        name = todo.pop(0)
        if name in seen:
            continue
        seen[name] = None
        relation = view.relations.get(name)
        if relation is not None and relation.is_view:
            todo += read_view(relation, view)[1]
    return tuple(name for name in seen if name not in view.known)


def prepare(
    text: str,
    *,
    view: CatalogView,
    database: str,
    parameters: Parameters = (),
    limits: GuardLimits,
) -> PreparedStatement:
    """Understand, price and check one statement.

    Raises the errors of ``sql.errors``. A finding of level refuse raises ``GuardRefusedError``,
    after the price is known: ``findings`` (all of them) and ``bytes_processed`` are in its details.
    """
    try:
        return _Request(
            parsed=parse(text),
            view=view,
            database=database.lower(),
            parameters=parameters,
            limits=limits,
        ).prepared()
    except RecursionError as error:
        raise StatementTooDeepError("the statement nests too deep to be understood") from error


def _named(parsed: Parsed, view: CatalogView, database: str) -> list[TableName]:
    """Names in the text itself: of its query, and of what it writes."""
    tree = parsed.tree
    if tree is None:
        return []
    names: list[TableName] = []
    if isinstance(tree, exp.Insert):
        table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        if isinstance(table, exp.Table):
            names.append(qualified(table, database=database, view=view, text=parsed.text))
    elif isinstance(tree, exp.Create) and parsed.kind is StatementKind.CREATE_TABLE_AS:
        names.append(create_name(tree, database=database, view=view, text=parsed.text))
    query = query_of(tree)
    if query is not None:
        names += resolve(query, database=database, view=view, text=parsed.text)
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One call of ``prepare``: its arguments, the text parsed."""

    parsed: Parsed
    view: CatalogView
    database: str
    parameters: Parameters
    limits: GuardLimits

    def prepared(self) -> PreparedStatement:
        parsed = self.parsed
        bind_parameters(parsed.tree, self.parameters)
        if parsed.kind.computes:
            return self._computing()
        statement = PreparedStatement(kind=parsed.kind, fingerprint=parsed.fingerprint, reads=())
        match parsed.kind:
            case StatementKind.SHOW:
                return replace(statement, show=show(parsed, database=self.database))
            case StatementKind.DESCRIBE:
                return replace(statement, show=describe(parsed, database=self.database))
            case StatementKind.CREATE_DATABASE:
                return replace(statement, command=create_database(parsed))
            case StatementKind.DROP_DATABASE:
                return replace(statement, command=drop_database(parsed))
            case StatementKind.DROP_TABLE | StatementKind.DROP_VIEW:
                return replace(statement, command=drop_table(parsed, database=self.database))
            case StatementKind.CREATE_VIEW:
                return self._view(statement)
        assert isinstance(parsed.tree, exp.Create)
        command = create_table(
            parsed.tree, database=self.database, view=self.view, text=parsed.text
        )
        return replace(statement, command=command)

    def _view(self, statement: PreparedStatement) -> PreparedStatement:
        bound = bind(self.parsed, view=self.view, database=self.database)
        findings = self._guard(bound, None)
        return replace(
            statement,
            reads=bound.reads,
            findings=findings,
            command=create_view(self.parsed, bound, database=self.database, view=self.view),
        )

    def _computing(self) -> PreparedStatement:
        parsed = self.parsed
        bound = bind(parsed, view=self.view, database=self.database)
        query = engine_query(
            parsed,
            bound,
            view=self.view,
            database=self.database,
            parameters=self.parameters,
        )
        target: WriteTarget | None = None
        if parsed.kind is StatementKind.CREATE_TABLE_AS:
            target = self._create_target(bound)
            query = create_select(bound, query)
        elif parsed.kind is not StatementKind.QUERY:
            target = insert_target(bound)
            query = insert_select(bound, query, parsed.text)
        priced = estimate(bound, scans(bound))
        findings = self._guard(bound, priced)
        explained = parsed.explain is not None
        same = repeatable(query) if parsed.kind is StatementKind.QUERY else Repeatable.UNSURE
        return PreparedStatement(
            kind=StatementKind.EXPLAIN if explained else parsed.kind,
            fingerprint=parsed.fingerprint,
            reads=bound.reads,
            findings=findings,
            cost=priced.cost,
            engine_sql=engine_sql(query),
            bindings=tuple(_binding(relation, priced) for relation in bound.relations.values()),
            column_names=tuple(column.name for column in bound.output),
            bounded_rows=priced.cost.rows.high,
            target=target,
            explains=parsed.kind if explained else None,
            explain_level=parsed.explain,
            repeatable=same,
        )

    def _create_target(self, bound: BoundStatement) -> WriteTarget:
        create = bound.statement
        assert isinstance(create, exp.Create)
        place = create_as_target(
            create, database=self.database, view=self.view, text=self.parsed.text
        )
        if self.view.databases and place.table.database not in self.view.databases:
            raise DatabaseNotFoundError(f"there is no database {place.table.database}")
        there = place.table in self.view.relations
        if there and not (place.if_not_exists or place.or_replace):
            raise TableAlreadyThereError(
                f"table {place.table} is there already",
                hint="CREATE OR REPLACE TABLE, or CREATE TABLE IF NOT EXISTS",
            )
        return create_target(bound, place)

    def _guard(self, bound: BoundStatement, priced: Estimate | None) -> tuple[Finding, ...]:
        cost = priced.cost if priced is not None else None
        findings = run(Candidate(bound=bound, cost=cost), self.limits)
        refusals = [each for each in findings if each.level is FindingLevel.REFUSE]
        if refusals:
            raise GuardRefusedError(
                refusals[0].message,
                rule=refusals[0].rule,
                findings=[
                    {"rule": each.rule, "level": each.level.value, "message": each.message}
                    for each in findings
                ],
                bytes_processed=cost.bytes_processed if cost is not None else None,
            )
        return findings


def _binding(relation: Relation, priced: Estimate) -> Binding:
    """A table as its temp view: the files that any scan may need, partition columns last."""
    definition, snapshot = relation.definition, relation.snapshot
    assert snapshot is not None, f"{relation.name} has no snapshot"
    return Binding(
        view=view_name(relation.name),
        table_id=definition.id,
        snapshot_id=snapshot.snapshot_id,
        format=definition.format or TableFormat.PARQUET,
        columns=definition.columns,
        partitioned_by=definition.partitioned_by,
        options=definition.options,
        files=priced.files.get(relation.name, ()),
    )
