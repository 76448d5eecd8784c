"""One SELECT taken apart: its sources, how they are joined, and which columns each part names.

Works on the qualified tree (``BoundStatement.scan_tree``) and changes nothing in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlglot import exp

from sql.analysis.projections import is_generator
from sql.scan.filters import conjuncts
from sql.statement import TableName

#: Alias and name of a column, as the qualified tree writes them.
ColumnKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Something that a SELECT reads; of ``table`` and ``query`` at most one is set.

    ``opaque`` sources (pivoted, sampled, functions, lateral) take no filters from outside, and
    where they have columns all of these are needed.
    """

    alias: str
    table: TableName | None = None
    query: exp.Query | None = None
    opaque: bool = False
    renamed: tuple[str, ...] = ()  #: names that the alias gives to the columns: ``d(a, b)``
    rows: int | None = None  #: of VALUES


class JoinKind(StrEnum):
    """What a join does with rows without a partner."""

    INNER = "inner"
    LEFT = "left"
    RIGHT = "right"
    FULL = "full"
    SEMI = "semi"
    ANTI = "anti"


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Two sides and the conjuncts of ON between them."""

    kind: JoinKind
    left: From
    right: From
    on: tuple[exp.Expr, ...] = ()


From = Source | Joined


@dataclass(slots=True, kw_only=True)
class Named:
    """What an expression names: columns, and the queries inside it."""

    columns: list[exp.Column] = field(default_factory=list)
    queries: list[exp.Query] = field(default_factory=list)

    def add(self, node: Any) -> Named:
        """Walk ``node``, without going into queries; ``SELECT`` lists are not of this block."""
        stack = [node]
        while stack:
            item = stack.pop()
            if isinstance(item, exp.Column):
                self.columns.append(item)
            elif isinstance(item, exp.Query):
                self.queries.append(item)
            else:
                stack.extend(item.iter_expressions())
        return self


@dataclass(slots=True, kw_only=True)
class Block:
    """A SELECT; ``outputs`` are its projections in order, ``named`` what each of them names."""

    select: exp.Select
    source: From | None
    where: tuple[exp.Expr, ...]
    having: tuple[exp.Expr, ...]
    outputs: tuple[exp.Expr, ...]
    named: tuple[Named, ...]
    rest: Named  #: what everything but the projections names
    grouped: bool
    keys: frozenset[ColumnKey] | None  #: bare columns of GROUP BY; None: filters stay outside
    partition: frozenset[ColumnKey] | None  #: in PARTITION BY of every window; None: no windows
    limited: bool

    @property
    def distinct(self) -> bool:
        """Whether equal rows are dropped, so that every output matters."""
        return self.select.args.get("distinct") is not None

    @property
    def generators(self) -> frozenset[int]:
        """Places of the outputs that may turn one row into many, or into none."""
        return frozenset(
            place for place, output in enumerate(self.outputs) if is_generator(output.unalias())
        )

    @property
    def one_row(self) -> bool:
        """Whether it is an aggregate without GROUP BY, which gives a row even for no rows."""
        return not self.grouped and any(map(_aggregates, self.outputs))


def block_of(select: exp.Select) -> Block:
    """Take ``select`` apart."""
    source = _from(select)
    rest = Named()
    for key, value in select.args.items():
        if key in ("expressions", "from_", "joins", "with_"):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, exp.Expr):
                rest.add(item)
    for joined in _joins(select):
        for key in ("on", "using"):
            value = joined.args.get(key)
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, exp.Expr):
                    rest.add(item)
        if isinstance(joined.this, exp.Lateral) and not _query_of(joined.this):
            rest.add(joined.this.this)
    where, having = select.args.get("where"), select.args.get("having")
    group = select.args.get("group")
    outputs = tuple(select.expressions)
    return Block(
        select=select,
        source=source,
        where=tuple(conjuncts(where.this if where else None)),
        having=tuple(conjuncts(having.this if having else None)),
        outputs=outputs,
        named=tuple(Named().add(output) for output in outputs),
        rest=rest,
        grouped=group is not None,
        keys=_keys(group) if group is not None else frozenset(),
        partition=_partition(select),
        limited=any(select.args.get(key) for key in ("limit", "offset", "sample")),
    )


def sources(tree: From | None) -> Iterator[Source]:
    """The sources of a FROM from left to right."""
    stack = [tree] if tree is not None else []
    while stack:
        item = stack.pop()
        if isinstance(item, Joined):
            stack += [item.right, item.left]
        else:
            yield item


def aliases_of(select: exp.Select) -> frozenset[str]:
    """The aliases of the sources that ``select`` reads itself."""
    return frozenset(item.alias for item in sources(_from(select)))


def key_of(column: exp.Column) -> ColumnKey:
    """Alias and name, in lower case."""
    return column.table.lower(), column.name.lower()


def outputs_named(named: Iterable[exp.Column], outputs: tuple[exp.Expr, ...]) -> set[int]:
    """Places of the projections that columns without a source stand for (ORDER BY an alias)."""
    wanted = {column.name.lower() for column in named if not column.table}
    if not wanted:
        return set()
    return {place for place, output in enumerate(outputs) if output.alias_or_name.lower() in wanted}


def _from(select: exp.Select) -> From | None:
    clause = select.args.get("from_")
    if clause is None:
        return None
    tree = _chain(clause.this, select.args.get("joins") or ())
    for lateral in select.args.get("laterals") or ():
        tree = Joined(kind=JoinKind.LEFT, left=tree, right=_source(lateral))
    return tree


def _chain(first: exp.Expr, joins: Iterable[exp.Join]) -> From:
    tree = _source(first)
    inner = first.args.get("joins") if not isinstance(first, exp.Subquery) else None
    for join in [*(inner or ()), *joins]:
        on = join.args.get("on")
        tree = Joined(
            kind=_kind(join), left=tree, right=_source(join.this), on=tuple(conjuncts(on))
        )
    return tree


def _kind(join: exp.Join) -> JoinKind:
    if join.kind in ("SEMI", "ANTI"):
        return JoinKind(join.kind.lower())
    if join.side in ("LEFT", "RIGHT", "FULL"):
        return JoinKind(join.side.lower())
    return JoinKind.FULL if join.kind == "OUTER" else JoinKind.INNER


def _source(node: exp.Expr) -> From:
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        return _chain(node.this, node.args.get("joins") or ())  # parentheses around joined tables
    alias = node.args.get("alias")
    name = node.alias_or_name.lower()
    pivots = node.args.get("pivots")
    if pivots:
        name = pivots[-1].alias.lower() or name
    opaque = bool(pivots or node.args.get("sample") or isinstance(node, exp.Lateral))
    renamed = tuple(column.name.lower() for column in alias.columns) if alias else ()
    if isinstance(node, exp.Table):
        return Source(alias=name, table=node.meta_get("relation"), opaque=opaque)
    query = _query_of(node)
    rows = len(node.expressions) if isinstance(node, exp.Values) else None
    return Source(alias=name, query=query, opaque=opaque, renamed=renamed, rows=rows)


def _query_of(node: exp.Expr) -> exp.Query | None:
    if isinstance(node, exp.Lateral):
        node = node.this
    return node if isinstance(node, exp.Query) and not isinstance(node, exp.Table) else None


def _joins(select: exp.Select) -> Iterator[exp.Join]:
    """Every join of the block, those in parentheses too."""
    clause = select.args.get("from_")
    stack: list[exp.Expr] = [clause.this] if clause else []
    stack += select.args.get("joins") or ()
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Join):
            yield node
            stack.append(node.this)
        elif isinstance(node, exp.Table) or (
            isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table)
        ):
            stack += node.args.get("joins") or ()
            if isinstance(node, exp.Subquery):
                stack.append(node.this)


def _keys(group: exp.Group) -> frozenset[ColumnKey] | None:
    plain = all(not value for key, value in group.args.items() if key != "expressions") and not any(
        isinstance(key, (exp.Rollup, exp.Cube, exp.GroupingSets)) for key in group.expressions
    )
    if not plain:
        return None
    keys = (key.unnest() for key in group.expressions)
    return frozenset(key_of(key) for key in keys if isinstance(key, exp.Column))


def _partition(select: exp.Select) -> frozenset[ColumnKey] | None:
    """Columns by which every window is partitioned: a filter on those drops whole partitions."""
    common: frozenset[ColumnKey] | None = None
    for window in _windows(select):
        keys = frozenset(
            key_of(key)
            for key in window.args.get("partition_by") or ()
            if isinstance(key, exp.Column)
        )
        common = keys if common is None else common & keys
    return common


def _windows(select: exp.Select) -> Iterator[exp.Expr]:
    """Windows of this block; one that only names a WINDOW clause has no partition of its own."""
    parts = [*select.expressions, select.args.get("qualify"), select.args.get("order")]
    stack = [part for part in parts if part is not None]
    while stack:
        node = stack.pop()
        if isinstance(node, exp.Window):
            yield node
        elif not isinstance(node, exp.Query):
            stack.extend(node.iter_expressions())


def _aggregates(output: exp.Expr) -> bool:
    """Whether an aggregate, or a function that could be one, stands outside of windows."""
    stack = [output]
    while stack:
        node = stack.pop()
        if isinstance(node, (exp.AggFunc, exp.Anonymous)):
            return True
        if not isinstance(node, (exp.Window, exp.Query)):
            stack.extend(node.iter_expressions())
    return False
