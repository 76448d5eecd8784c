"""What a run would do and cost, as far as it can be told before: nothing is kept of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs.documents import JobDocuments, Submitter
from jobs.pipelines.graph import Edge
from jobs.pipelines.parameters import complete, typed
from jobs.pipelines.references import resolve
from jobs.pipelines.spec import Node
from jobs.pipelines.store import Revision
from jobs.usage import Quote
from sql.errors import TableNotFoundError
from storage.base.errors import ServiceError


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """One node in the order of the run. Without a ``quote``, ``unpriced`` says why."""

    name: str
    kind: str
    after: tuple[Edge, ...]
    when: str | None
    only_after_failure: tuple[str, ...]
    quote: Quote | None = None
    unpriced: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run as it would be. ``price`` is the sum of what has one, in nanos of ``currency``."""

    pipeline: str
    revision: int | None  #: None: a text that is not applied
    parameters: Mapping[str, Any]
    nodes: tuple[NodePlan, ...]
    price: int
    currency: str | None
    max_cost: int | None

    @property
    def complete(self) -> bool:
        """Whether every node has a price."""
        return all(node.quote is not None for node in self.nodes)


def plan_run(
    revision: Revision,
    given: Mapping[str, Any],
    *,
    documents: JobDocuments,
    by: Submitter,
    applied: bool = True,
) -> RunPlan:
    """The plan with a price for each node that has one. Raises ``ParameterInvalidError``."""
    pipeline = revision.pipeline
    values = complete(pipeline, given)
    parameters = typed(pipeline, values)
    nodes: list[NodePlan] = []
    for name in revision.graph.order:
        node = pipeline.nodes[name]
        told = NodePlan(
            name=name,
            kind=node.kind,
            after=revision.graph.into(name),
            when=None if node.when is None else node.when.text,
            only_after_failure=pipeline.handlers.get(name, ()),
        )
        quote, unpriced = None, _given_later(node)
        if unpriced is None:
            try:
                document = resolve(node.document, lambda ref: parameters.get(ref.parameter or ""))
                if pipeline.queue is not None:
                    document.setdefault("queue", pipeline.queue)
                quote = documents.estimate(document, by=by)
                unpriced = None if quote is not None else f"a {node.kind} has no price before"
            except ServiceError as error:
                unpriced = _made_later(revision.graph.into(name), error) or error.message
        nodes.append(replace(told, quote=quote, unpriced=unpriced))
    quotes = [node.quote for node in nodes if node.quote is not None]
    return RunPlan(
        pipeline=pipeline.name,
        revision=revision.number if applied else None,
        parameters=values,
        nodes=tuple(nodes),
        price=sum(
            node.quote.amount
            for node in nodes
            if node.quote is not None and not node.only_after_failure
        ),
        currency=quotes[0].currency if quotes else None,
        max_cost=pipeline.max_cost,
    )


def _made_later(edges: tuple[Edge, ...], error: ServiceError) -> str | None:
    """Why a table is not there yet."""
    if not isinstance(error, TableNotFoundError):
        return None
    return next((f"{edge.reason}, made by {edge.before}" for edge in edges if edge.inferred), None)


def _given_later(node: Node) -> str | None:
    """Why a document cannot be known before the run."""
    for place in node.places():
        if place.ref.node is not None:
            return f"{'.'.join(place.path)} is given by {place.ref.node}"
    return None
