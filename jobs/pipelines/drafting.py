"""What a node submits: its document with the values that are known now, under the run's cap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from jobs.documents import JobDocuments, Submitter
from jobs.errors import WriteForbiddenError
from jobs.firings.spec import Authors
from jobs.lifecycle.job import Job
from jobs.pipelines.errors import PipelineCapError
from jobs.pipelines.outputs import own_cap, run_cost
from jobs.pipelines.references import Lookup, resolve
from jobs.pipelines.spec import Pipeline, money_text
from storage.base.ids import ProjectId, UserId
from storage.meta.database import Database, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """Of the run ``job``, whose jobs ``by`` submits. ``max_cost`` is in nanos."""

    database: Database
    documents: JobDocuments
    authors: Authors
    pipeline: Pipeline
    job: Job
    by: Submitter
    max_cost: int | None
    lookup: Lookup

    def draft(self, node: str) -> dict[str, Any]:
        """The document of its next attempt.

        Raises what ``Authors`` and the estimate do, ``WriteForbiddenError`` where who started the
        run may not go on with it, and ``PipelineCapError``.
        """
        with self.database.read() as tx:
            check_author(tx, self.authors, self.job.project_id, self.job.user_id)
        document = resolve(self.pipeline.nodes[node].document, self.lookup)
        if self.job.queue and "queue" not in document:
            document["queue"] = self.job.queue
        if self.max_cost is None:
            return document
        with self.database.read() as tx:
            spent = run_cost(tx, self.job.id)
        quote = self.documents.estimate(document, by=replace(self.by, node=node))
        price = None if quote is None else quote.amount
        return capped(node, document, cap=self.max_cost, spent=spent, price=price)


def capped(
    node: str, document: dict[str, Any], *, cap: int, spent: int, price: int | None
) -> dict[str, Any]:
    """The document with what is left of the run's ``cap`` as its own; all money in nanos.

    ``spent`` is what the jobs of all attempts have taken or may still take. Raises
    ``PipelineCapError`` for a price above what is left, or none at all; a job without a price may
    take as much as its own cap. The price may grow until the submit: the job's own cap refuses it
    there.
    """
    left, own = cap - spent, own_cap(document)
    price = own if price is None else price
    if price is None:
        raise PipelineCapError(
            f"node {node} has no price before it runs, and the run has a cap",
            hint="give the node a max_cost",
            node=node,
        )
    if price > left:
        raise PipelineCapError(
            f"node {node} would cost {money_text(price)}, and {money_text(max(left, 0))} is "
            f"left of the run's {money_text(cap)}",
            hint="a new run with a higher max_cost can resume this one",
            node=node,
        )
    return {**document, "max_cost": money_text(left if own is None else min(own, left))}


def check_author(tx: Tx, authors: Authors, project_id: ProjectId, user_id: UserId) -> None:
    """Raise what ``Authors`` does, and ``WriteForbiddenError`` for one who may only read now."""
    if not authors.may_write(tx, project_id, user_id):
        raise WriteForbiddenError(
            "who started it may not write any more", hint="let somebody else start it again"
        )
