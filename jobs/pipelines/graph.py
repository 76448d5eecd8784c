"""Which node runs after which, and why: what was said, and what follows from the SQL.

A node that reads a table runs after those that write it, and one that adds rows after the one that
makes the table. What was said comes first: where it puts the reader before the writer (to read the
old rows), nothing is inferred. Where an order matters and cannot be told, it must be said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from jobs.pipelines.errors import Fault, PipelineInvalidError
from jobs.pipelines.spec import Pipeline
from sql.errors import SqlError
from sql.statement import TableName
from sql.syntax.lexer import split_script
from sql.touched import Touched, touched
from storage.base.errors import ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """``after`` starts when ``before`` has ended; ``inferred``: nobody said so."""

    before: str
    after: str
    reason: str
    inferred: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """``order`` is one in which the nodes may run one by one; equal pipelines have equal ones."""

    order: tuple[str, ...]
    edges: tuple[Edge, ...]  #: at most one for each pair

    def into(self, node: str) -> tuple[Edge, ...]:
        """Why the node waits for others."""
        return tuple(edge for edge in self.edges if edge.after == node)


def build(pipeline: Pipeline, *, database: str) -> Graph:
    """The graph of a pipeline; ``database`` is that of names in statements that name none.

    Raises ``PipelineInvalidError`` for SQL that cannot be read, for cycles, which are told with
    their way, and for writes of one table whose order matters and is not said.
    """
    tables = _tables(pipeline, database)
    said = list(_said(pipeline))
    reach = _reach(pipeline, said)
    _raise_cycle(pipeline, said)
    inferred = [
        edge for edge in _inferred(pipeline, tables) if edge.before not in reach[edge.after]
    ]
    edges = _once([*said, *inferred])
    order = _raise_cycle(pipeline, edges)
    _check_writes(pipeline, tables, edges)
    return Graph(order=order, edges=tuple(edges))


def _tables(pipeline: Pipeline, database: str) -> dict[str, Touched]:
    found: dict[str, Touched] = {}
    faults: list[Fault] = []
    for name, node in pipeline.nodes.items():
        text = node.document.get("sql")
        if not isinstance(text, str):
            continue
        given = node.document.get("database")
        chosen = given if isinstance(given, str) else database
        try:
            found[name] = _script(text, chosen) if node.kind == "batch" else _one(text, chosen)
        except ServiceError as error:
            place = {name: error.details.get(name) for name in ("line", "column")}
            where = f" (line {place['line']}, column {place['column']})" if place["line"] else ""
            faults.append(
                Fault(field=f"nodes.{name}.sql", message=error.message + where, hint=error.hint)
            )
    if faults:
        raise PipelineInvalidError.of(faults)
    return found


def _one(text: str, database: str) -> Touched:
    return touched(text, database=database)


def _script(text: str, database: str) -> Touched:
    """What a script touches together; a part that only Spark knows is passed over."""
    whole = Touched()
    for part in split_script(text):
        try:
            one = touched(part.sql, database=database)
        except SqlError:
            continue
        whole = Touched(
            reads=whole.reads | one.reads,
            creates=whole.creates | one.creates,
            appends=whole.appends | one.appends,
            overwrites=whole.overwrites | one.overwrites,
            drops=whole.drops | one.drops,
        )
    return whole


def _said(pipeline: Pipeline) -> Iterator[Edge]:
    for name, node in pipeline.nodes.items():
        for needed in node.needs:
            yield Edge(before=needed, after=name, reason="needs")
        for place in node.places():
            if place.ref.node is not None:
                where = ".".join(place.path)
                reason = f"{where} takes {place.ref.output}"
                yield Edge(before=place.ref.node, after=name, reason=reason)
        for other in sorted(node.when.nodes()) if node.when is not None else ():
            yield Edge(before=other, after=name, reason="when")
        if node.handler is not None:
            yield Edge(before=name, after=node.handler, reason="on_failure")


def _inferred(pipeline: Pipeline, tables: Mapping[str, Touched]) -> Iterator[Edge]:
    """Between the nodes that always run: one that handles failures takes no part in the flow."""
    flow = [name for name in pipeline.nodes if name not in pipeline.handlers and name in tables]
    for after in flow:
        for before in flow:
            if before == after:
                continue
            for table in sorted(tables[after].reads & tables[before].writes, key=str):
                yield Edge(before=before, after=after, reason=f"reads {table}", inferred=True)
            added = tables[after].appends | tables[after].overwrites
            for table in sorted(added & tables[before].creates, key=str):
                yield Edge(before=before, after=after, reason=f"writes to {table}", inferred=True)


def _once(edges: list[Edge]) -> list[Edge]:
    """One edge for each pair, the first of them; in order of the names."""
    found: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        found.setdefault((edge.before, edge.after), edge)
    return [found[pair] for pair in sorted(found)]


def _reach(pipeline: Pipeline, edges: list[Edge]) -> dict[str, set[str]]:
    """For each node, those that come after it by ``edges``, over any number of steps."""
    after: dict[str, list[str]] = {name: [] for name in pipeline.nodes}
    for edge in edges:
        after[edge.before].append(edge.after)
    reach: dict[str, set[str]] = {}
    for name in pipeline.nodes:
        seen: set[str] = set()
        todo = list(after[name])
        while todo:
            other = todo.pop()
            if other not in seen:
                seen.add(other)
                todo += after[other]
        reach[name] = seen
    return reach


def _raise_cycle(pipeline: Pipeline, edges: list[Edge]) -> tuple[str, ...]:
    """The order of the nodes by ``edges``, names deciding where they do not."""
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(pipeline.nodes, ()))
    for edge in edges:
        sorter.add(edge.after, edge.before)
    try:
        sorter.prepare()
    except CycleError as error:
        raise PipelineInvalidError.of([_cycle_fault(error.args[1], edges)]) from error
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return tuple(order)


def _cycle_fault(cycle: list[str], edges: list[Edge]) -> Fault:
    """``a -> b (reads t) -> a (needs)``."""
    reasons = {(edge.before, edge.after): edge for edge in reversed(edges)}
    way = cycle[0]
    inferred = False
    for before, after in pairwise(cycle):
        edge = reasons[before, after]
        inferred = inferred or edge.inferred
        way += f" -> {after} ({edge.reason})"
    hint = "say with needs which of them is first" if inferred else None
    return Fault(field="nodes", message=f"run after each other in a circle: {way}", hint=hint)


def _check_writes(pipeline: Pipeline, tables: Mapping[str, Touched], edges: list[Edge]) -> None:
    """Two nodes in no order must not both make, replace or drop what the other touches.

    Handlers of failures run when all else has ended.
    """
    reach = _reach(pipeline, edges)
    faults: list[Fault] = []
    names = sorted(name for name in tables if name not in pipeline.handlers)
    for index, first in enumerate(names):
        for second in names[index + 1 :]:
            if second in reach[first] or first in reach[second]:
                continue
            for table in sorted(_rivals(tables[first], tables[second]), key=str):
                message = f"{first} and {second} both change {table}, in no order"
                hint = f"add needs: [{first}] to {second}, or the other way round"
                faults.append(Fault(field=f"nodes.{second}", message=message, hint=hint))
    if faults:
        raise PipelineInvalidError.of(faults)


def _rivals(one: Touched, two: Touched) -> frozenset[TableName]:
    """Tables whose rows depend on which of the two is first. Appends do not."""
    hard_one = one.creates | one.overwrites | one.drops
    hard_two = two.creates | two.overwrites | two.drops
    all_one, all_two = one.writes | one.drops | one.reads, two.writes | two.drops | two.reads
    return (hard_one & all_two) | (hard_two & all_one)
