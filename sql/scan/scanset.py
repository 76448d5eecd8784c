"""Which base tables a statement scans, which columns of each, and under which condition.

One walk from the outermost query down. Each query is told which of its outputs are wanted (so that
unused ones cost nothing) and which filters hold for its rows; filters go on through derived tables,
set operations, GROUP BY keys and PARTITION BY keys, and branches that are empty whatever the data
are dropped, as engines do. A filter is never copied: going down only changes what its columns
stand for.

A scan counts as often as the plan has it (``live_rg`` in the cost study): the tree comes with CTEs
and views written out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from sql.analysis.bind import BoundStatement
from sql.analysis.view import Relation
from sql.errors import StatementTooDeepError
from sql.scan.blocks import (
    Block,
    ColumnKey,
    From,
    JoinKind,
    Source,
    aliases_of,
    block_of,
    key_of,
    outputs_named,
    sources,
)
from sql.scan.conditions import Condition, Never, all_of
from sql.scan.constants import NULL
from sql.scan.filters import BaseColumn, Derived, Filter, Lookup, Meaning, Steps, condition_of
from sql.statement import TableName

#: Steps of reading filters; a long TPC-DS statement takes about 2,000.
STEPS: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One reading of a base table. ``columns`` are sorted; none at all is a count of rows."""

    table: TableName
    columns: tuple[str, ...]
    condition: Condition


def scans(bound: BoundStatement) -> tuple[Scan, ...]:
    """The scans of a statement in the order of its text; none for a statement without a query.

    Raises ``StatementTooDeepError``.
    """
    tree = bound.scan_tree
    if tree is None:
        return ()
    walk = _Walk(relations=bound.relations, pushes=not recursive(tree))
    try:
        return tuple(walk.query(tree, None, ()).scans)
    except RecursionError as error:
        raise StatementTooDeepError(
            "the statement is nested deeper than can be followed",
            hint="keep an intermediate result in a table: CREATE TABLE … AS SELECT",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Local:
    """A filter on the rows of one block. ``bind`` turns the block's lookup into the filter's."""

    expression: exp.Expr
    bind: Callable[[Lookup], Lookup]
    columns: frozenset[ColumnKey]

    def under(self, lookup: Lookup) -> Filter:
        return Filter(expression=self.expression, lookup=self.bind(lookup))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pushed:
    """A filter on the rows that a query gives; ``bind`` is told what its outputs stand for."""

    expression: exp.Expr
    bind: Callable[[Callable[[int], Meaning]], Lookup]
    outputs: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """A filter at a source; ``strict`` where rows of NULLs may take the place of its own."""

    local: _Local
    strict: bool


@dataclass(slots=True, kw_only=True)
class _Found:
    """Scans of a part of the statement; ``empty`` when it gives no row whatever the data."""

    scans: list[Scan] = field(default_factory=list)
    empty: bool = False


@dataclass(slots=True, kw_only=True)
class _Walk:
    relations: Mapping[TableName, Relation]
    pushes: bool
    steps: Steps = field(default_factory=lambda: Steps(left=STEPS))

    def query(
        self, node: exp.Expr, wanted: frozenset[int] | None, pushed: Sequence[_Pushed]
    ) -> _Found:
        """The scans of a query of which only the outputs ``wanted`` are used (None: all)."""
        while isinstance(node, exp.Subquery):
            if _cuts(node):
                pushed = ()
            if wanted is not None and node.args.get("order"):
                wanted = None
            node = node.this
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, wanted, pushed)
        if isinstance(node, exp.Select):
            return self._block(block_of(node), wanted, pushed)
        return _Found()

    def _set_operation(
        self, node: exp.SetOperation, wanted: frozenset[int] | None, pushed: Sequence[_Pushed]
    ) -> _Found:
        """All branches of a chain at once, since thousands of UNION ALL nest to the left."""
        branches: list[exp.Expr] = []
        head: exp.Expr = node
        while isinstance(head, exp.SetOperation):
            if _cuts(head) or head.args.get("by_name") or head.args.get("on"):
                pushed = ()
            if not isinstance(head, exp.Union) or head.args.get("distinct"):
                wanted = None
            if wanted is not None and (head.args.get("order") or head.args.get("by_name")):
                wanted = None
            branches.append(head.expression)
            head = head.this
        found = [self.query(branch, wanted, pushed) for branch in (head, *reversed(branches))]
        return _Found(
            scans=[scan for part in found for scan in part.scans],
            empty=all(part.empty for part in found),
        )

    def _block(
        self, block: Block, wanted: frozenset[int] | None, pushed: Sequence[_Pushed]
    ) -> _Found:
        after = () if block.limited else [_enter(block, item) for item in pushed]
        own = [_local(block, part) for part in block.where]
        having = [_local(block, part) for part in block.having]
        if any(self._never(item, _unknown) for item in (*after, *having)):
            return _Found(empty=True)
        if any(self._never(item, _unknown) for item in own):
            return _Found(empty=not block.one_row)
        if block.grouped and block.keys is not None:
            own += [item for item in having if _within(item.columns, block.keys)]
        needed, queries = self._needed(block, wanted)
        filters = [_Due(local=item, strict=False) for item in (*own, *after)]
        found = self._from(block.source, filters, needed) if block.source else _Found()
        if found.empty:
            return _Found(empty=not block.one_row)
        for query, exists in queries:
            found.scans += self.query(query, frozenset() if exists else None, ()).scans
        return found

    def _needed(
        self, block: Block, wanted: frozenset[int] | None
    ) -> tuple[dict[str, set[str]], list[tuple[exp.Query, bool]]]:
        """Columns by source that the block uses for its wanted outputs, and the queries in them."""
        if wanted is None or block.distinct:
            places = set(range(len(block.outputs)))
        else:
            places = set(wanted) | outputs_named(block.rest.columns, block.outputs)
            places |= block.generators  # they decide how many rows there are
        parts = [block.rest, *(block.named[place] for place in sorted(places))]
        queries = [query for part in parts for query in part.queries]
        needed: dict[str, set[str]] = {}
        if any(block.outputs[place].is_star for place in places):
            needed = {source.alias: {"*"} for source in sources(block.source)}
        columns = [column for part in parts for column in part.columns]
        for source in sources(block.source):
            if source.query is not None and isinstance(source.query.parent, exp.Lateral):
                columns += _outer_columns(source.query)
        for query in queries:
            columns += _outer_columns(query)
        for column in columns:
            alias, name = key_of(column)
            needed.setdefault(alias, set()).add(name)
        marked = [(query, isinstance(query.parent, exp.Exists)) for query in queries]
        return needed, marked

    def _from(self, tree: From, filters: list[_Due], needed: Mapping[str, set[str]]) -> _Found:
        """The scans under a FROM; every row of it that is used passes ``filters``."""
        if isinstance(tree, Source):
            return self._source(tree, filters, needed.get(tree.alias, set()))
        on = [_Due(local=_on(part), strict=False) for part in tree.on]
        weak = [_Due(local=due.local, strict=True) for due in filters]
        left_filters, right_filters = {
            JoinKind.INNER: (filters + on, filters + on),
            JoinKind.LEFT: (filters, weak + on),
            JoinKind.RIGHT: (weak + on, filters),
            JoinKind.FULL: (weak, weak),
            JoinKind.SEMI: (filters + on, on),
            JoinKind.ANTI: (filters, on),
        }[tree.kind]
        left = self._from(tree.left, left_filters, needed)
        right = self._from(tree.right, right_filters, needed)
        dead = tree.kind in (JoinKind.INNER, JoinKind.SEMI) and any(
            self._never(due.local, _unknown) for due in on
        )
        empty = {
            JoinKind.INNER: left.empty or right.empty or dead,
            JoinKind.LEFT: left.empty,
            JoinKind.RIGHT: right.empty,
            JoinKind.FULL: left.empty and right.empty,
            JoinKind.SEMI: left.empty or right.empty or dead,
            JoinKind.ANTI: left.empty,
        }[tree.kind]
        if empty:
            return _Found(empty=True)
        return _Found(scans=left.scans + right.scans)

    def _source(self, source: Source, filters: list[_Due], needed: set[str]) -> _Found:
        if source.table is not None:
            return _Found(scans=[self._scan(source, source.table, filters, needed)])
        if source.query is None:
            return _Found()
        if source.opaque:
            return self.query(source.query, None, ())
        places = {name: place for place, name in enumerate(_names(source))}
        pushed = [
            _descend(due.local, source.alias, places)
            for due in filters
            if self.pushes and self._applies(due, source.alias)
        ]
        everything = "*" in needed or not needed <= places.keys()
        wanted = None if everything else frozenset(places[name] for name in needed)
        return self.query(source.query, wanted, pushed)

    def _scan(
        self, source: Source, table: TableName, filters: list[_Due], needed: set[str]
    ) -> Scan:
        types = {column.name.lower(): column.type for column in self.relations[table].columns}
        if source.opaque or "*" in needed:
            return Scan(table=table, columns=tuple(sorted(types)), condition=all_of(()))

        def lookup(column: exp.Column) -> Meaning:
            alias, name = key_of(column)
            if alias != source.alias or name not in types:
                return None
            return BaseColumn(name=name, type=types[name])

        condition = all_of(
            condition_of(due.local.under(lookup), self.steps)
            for due in filters
            if self._applies(due, source.alias)
        )
        columns = tuple(sorted(name for name in needed if name in types))
        return Scan(table=table, columns=columns, condition=condition)

    def _applies(self, due: _Due, alias: str) -> bool:
        """Whether a filter says something of a source, and may be used on its rows.

        Where a row of the source that is left out comes back as NULLs (outer joins), only filters
        that such NULLs do not pass may be used.
        """
        if not any(name == alias for name, _ in due.local.columns):
            return False

        def nulls(column: exp.Column) -> Meaning:
            return NULL if key_of(column)[0] == alias else None

        return not due.strict or self._never(due.local, nulls)

    def _never(self, local: _Local, lookup: Lookup) -> bool:
        return isinstance(condition_of(local.under(lookup), self.steps), Never)


def _local(block: Block, part: exp.Expr) -> _Local:
    """A filter of the block's own; in HAVING a column without a source is an output."""
    outputs = {output.alias_or_name.lower(): output for output in block.outputs}

    def bind(lookup: Lookup) -> Lookup:
        def meaning(column: exp.Column) -> Meaning:
            output = None if column.table else outputs.get(column.name.lower())
            return Derived(expression=output, lookup=lookup) if output else lookup(column)

        return meaning

    return _Local(expression=part, bind=bind, columns=_columns_in(part))


def _on(part: exp.Expr) -> _Local:
    return _Local(expression=part, bind=lambda lookup: lookup, columns=_columns_in(part))


def _columns_in(part: exp.Expr) -> frozenset[ColumnKey]:
    return frozenset(key_of(column) for column in part.find_all(exp.Column))


def _descend(local: _Local, alias: str, places: Mapping[str, int]) -> _Pushed:
    """A filter of a block, as one on what its source ``alias`` gives."""

    def bind(output: Callable[[int], Meaning]) -> Lookup:
        def meaning(column: exp.Column) -> Meaning:
            table, name = key_of(column)
            return output(places[name]) if table == alias and name in places else None

        return local.bind(meaning)

    used = {places[name] for table, name in local.columns if table == alias and name in places}
    return _Pushed(expression=local.expression, bind=bind, outputs=frozenset(used))


def _enter(block: Block, item: _Pushed) -> _Local:
    """A filter on a block's outputs, as one on its rows; outputs it must not pass are unknown."""

    def bind(lookup: Lookup) -> Lookup:
        def output(place: int) -> Meaning:
            if place >= len(block.outputs) or not _passes(block, place):
                return None
            return Derived(expression=block.outputs[place], lookup=lookup)

        return item.bind(output)

    columns = frozenset(
        key_of(column)
        for place in item.outputs
        if place < len(block.outputs) and _passes(block, place)
        for column in block.named[place].columns
    )
    return _Local(expression=item.expression, bind=bind, columns=columns)


def _passes(block: Block, place: int) -> bool:
    """Whether a filter on this output may be taken before grouping and windows."""
    if block.keys is None:
        return False
    used = frozenset(key_of(column) for column in block.named[place].columns)
    if block.grouped and not used <= block.keys:
        return False
    return block.partition is None or used <= block.partition


def _within(columns: Iterable[ColumnKey], keys: frozenset[ColumnKey]) -> bool:
    return any(column in keys for column in columns)


def _names(source: Source) -> tuple[str, ...]:
    """The names of a derived table's outputs, in order."""
    if source.renamed:
        return source.renamed
    assert source.query is not None
    return tuple(name.lower() for name in source.query.named_selects)


def _outer_columns(query: exp.Query) -> list[exp.Column]:
    """Columns in ``query`` that are of the blocks around it."""
    known: dict[int, frozenset[str]] = {}
    return [
        column
        for column in query.find_all(exp.Column)
        if column.table and not _bound_in(column, query, known)
    ]


def _bound_in(column: exp.Column, query: exp.Query, known: dict[int, frozenset[str]]) -> bool:
    """Whether a SELECT from the column up to ``query`` has a source of the column's alias."""
    alias, node = column.table.lower(), column.parent
    while node is not None:
        if isinstance(node, exp.Select):
            if id(node) not in known:
                known[id(node)] = aliases_of(node)
            if alias in known[id(node)]:
                return True
        if node is query:
            return False
        node = node.parent
    return False


def _cuts(node: exp.Expr) -> bool:
    return any(node.args.get(key) for key in ("limit", "offset", "sample"))


def _unknown(column: exp.Column) -> Meaning:
    return None


def recursive(tree: exp.Query) -> bool:
    """Whether a recursive CTE is in it: its reference to itself is a row of NULLs without FROM.

    Such rows are not what the step reads, so no filter may be followed through them.
    """
    return any(
        select.args.get("from_") is None
        and all(isinstance(output.unalias(), exp.Null) for output in select.expressions)
        for select in tree.find_all(exp.Select)
    )
