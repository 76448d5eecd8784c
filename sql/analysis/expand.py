"""Views: each name of one becomes the query that it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from sql.analysis.inline import Budget, inline
from sql.analysis.names import VIEW, check_found, resolve
from sql.analysis.projections import name_inner
from sql.analysis.queries import query_of
from sql.analysis.view import CatalogView, Relation
from sql.errors import ViewBrokenError
from sql.statement import StatementKind, TableName
from sql.syntax.parse import parse
from storage.base.errors import ServiceError

MAX_VIEW_DEPTH = 16
_PLACE = ("line", "col", "start", "end")


@dataclass(kw_only=True)
class Views:
    """The views under one statement, each read once.

    ``bodies`` are as their authors wrote them, tables marked; ``tables`` are the base tables that
    were met.
    """

    view: CatalogView
    bodies: dict[TableName, exp.Query] = field(default_factory=dict)
    tables: dict[TableName, Relation] = field(default_factory=dict)

    def load(self, names: list[TableName], stack: tuple[TableName, ...] = ()) -> None:
        """Read the views among ``names``, which must be in the catalog, and those under them."""
        for name in names:
            relation = self.view.relations[name]
            if not relation.is_view:
                self.tables[name] = relation
            elif name in stack or len(stack) >= MAX_VIEW_DEPTH:
                raise ViewBrokenError(f"view {name} refers to itself", view=str(name))
            elif name not in self.bodies:
                body, inner = read_view(relation, self.view)
                _check(name, body, self.view)
                self.load(inner, (*stack, name))
                self.bodies[name] = body

    def inlined(self, budget: Budget) -> Mapping[TableName, exp.Query]:
        """The bodies without CTEs and views in them, columns named as the views name them."""
        done: dict[TableName, exp.Query] = {}
        for name, body in self.bodies.items():  # a view comes after those under it
            done[name] = inline(body.copy(), done, budget)
        return done


def read_view(relation: Relation, view: CatalogView) -> tuple[exp.Query, list[TableName]]:
    """The query of a view, tables marked, and the names in it. Raises ``ViewBrokenError``."""
    definition = relation.definition
    text = definition.view_sql or ""
    try:
        parsed = parse(text)
        tree = query_of(parsed.tree) if parsed.tree is not None else None
        if tree is None or parsed.kind is not StatementKind.QUERY:
            raise ViewBrokenError(f"view {relation.name} is no query", view=str(relation.name))
        database = definition.view_database or definition.database
        names = resolve(tree, database=database, view=view, text=text)
    except ViewBrokenError:
        raise
    except ServiceError as error:
        raise _broken(relation.name, error) from error
    name_inner(tree)
    for node in tree.walk():
        if node.meta:
            for key in _PLACE:  # places in another text would mislead
                node.meta.pop(key, None)
        if isinstance(node, exp.Identifier):
            node.meta[VIEW] = str(relation.name)
    return name_columns(tree, relation), names


def name_columns(tree: exp.Query, relation: Relation) -> exp.Query:
    """The view's own names on the columns of its query, which is taken into the new tree."""
    names = [column.name for column in relation.columns]
    given = list(tree.named_selects)
    if not names or names == given:
        return tree
    if len(names) != len(given) and "*" not in given:
        raise ViewBrokenError(
            f"view {relation.name} has {len(names)} columns, its query gives {len(given)}",
            view=str(relation.name),
        )
    alias = exp.TableAlias(
        this=exp.to_identifier("_view", quoted=True),
        columns=[exp.to_identifier(name, quoted=True) for name in names],
    )
    return exp.select("*").from_(exp.Subquery(this=tree, alias=alias))


def _check(name: TableName, body: exp.Query, view: CatalogView) -> None:
    try:
        check_found(body, view=view, text="")
    except ServiceError as error:
        raise _broken(name, error) from error


def _broken(name: TableName, error: ServiceError) -> ViewBrokenError:
    return ViewBrokenError(
        f"view {name} is broken: {error.message}", hint=error.hint, view=str(name)
    )
