"""Pipelines, their runs and backfills on the wire. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from dli.api.documents import document_schema
from dli.api.envelope import job_json, moment, money_json
from dli.api.schemas.fields import SPAN_SCHEMA
from dli.api.schemas.pipelines import PipelineBody
from dli.api.wire import failure_json
from dli.billing.money import Money
from dli.billing.pricebook import PriceBook
from jobs.pipelines.backfill_store import Day
from jobs.pipelines.differences import Change, Difference
from jobs.pipelines.graph import Edge
from jobs.pipelines.planning import RunPlan
from jobs.pipelines.progress import NodeRun
from jobs.pipelines.references import FIXED
from jobs.pipelines.service import BackfillView, RunView
from jobs.pipelines.spec import MOST_ATTEMPTS, to_json
from jobs.pipelines.store import Applied, Revision


def revision_json(revision: Revision) -> dict[str, Any]:
    """A revision with its text and its graph."""
    return {
        **_told(revision),
        "pipeline": to_json(revision.pipeline),
        "order": list(revision.graph.order),
        "edges": _edges(revision.graph.edges),
    }


def applied_json(applied: Applied) -> dict[str, Any]:
    """The revision in force after an apply, and whether it is a new one."""
    return {**revision_json(applied.revision), "new": applied.new}


def summary_json(revision: Revision) -> dict[str, Any]:
    """A revision in a list."""
    return {
        **_told(revision),
        "description": revision.pipeline.description or None,
        "nodes": len(revision.pipeline.nodes),
    }


def difference_json(found: Difference) -> dict[str, Any]:
    """What changed."""
    return {
        "same": found.empty,
        "fields": _changes(found.fields),
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": {name: _changes(fields) for name, fields in found.changed.items()},
    }


def plan_json(plan: RunPlan, book: PriceBook) -> dict[str, Any]:
    """A plan with its prices."""
    return {
        "pipeline": plan.pipeline,
        "revision": plan.revision,
        "parameters": dict(plan.parameters),
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind,
                "after": _edges(node.after),
                "when": node.when,
                "only_after_failure": list(node.only_after_failure),
                "price": None
                if node.quote is None
                else money_json(Money(node.quote.currency, node.quote.amount)),
                "unpriced": node.unpriced,
            }
            for node in plan.nodes
        ],
        "price": _money(book, plan.price),
        "complete": plan.complete,
        "max_cost": None if plan.max_cost is None else _money(book, plan.max_cost),
    }


def run_json(run: RunView, book: PriceBook) -> dict[str, Any]:
    """The envelope of the run with its nodes, in an order in which they run."""
    return {
        **job_json(run.view, book),
        "cost": _money(book, run.cost),
        "nodes": [_node_json(node, run) for node in run.nodes],
    }


def backfill_json(view: BackfillView, book: PriceBook) -> dict[str, Any]:
    """A backfill with its days."""
    backfill = view.backfill
    return {
        "id": backfill.id,
        "pipeline": backfill.name,
        "revision": backfill.revision,
        "state": backfill.state.value,
        "from": backfill.first.isoformat(),
        "to": backfill.last.isoformat(),
        "parameter": backfill.parameter,
        "parameters": dict(backfill.parameters),
        "parallel": backfill.parallel,
        "max_cost": None if backfill.max_cost is None else _money(book, backfill.max_cost),
        "spent": _money(book, view.spent),
        "reserved": _money(book, view.reserved),
        "counts": dict(view.counts),
        "reason": backfill.reason,
        "created_at": moment(backfill.created_at),
        "ended_at": moment(backfill.ended_at),
        "days": [_day_json(day, book) for day in view.days],
    }


def pipeline_schema() -> dict[str, Any]:
    """The JSON Schema of a pipeline file: that of job documents, with what nodes add to jobs."""
    jobs = document_schema()
    found: dict[str, Any] = {
        name: _with_references(schema, top=True) for name, schema in jobs["$defs"].items()
    }
    found |= {"Reference": _REFERENCE}
    kinds = [option["$ref"].rpartition("/")[2] for option in jobs["oneOf"]]
    for name in kinds:
        found[name]["properties"] |= deepcopy(_NODE)
        if "kind" in found[name].get("required", ()) and name == "StatementBody":
            found[name]["required"].remove("kind")
    schema = PipelineBody.model_json_schema()
    nodes = {"oneOf": [{"$ref": f"#/$defs/{name}"} for name in kinds]}
    schema["properties"]["nodes"]["additionalProperties"] = nodes
    schema["required"] = ["nodes"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Pipeline",
        "$defs": found,
    }


def _told(revision: Revision) -> dict[str, Any]:
    return {
        "name": revision.name,
        "revision": revision.number,
        "hash": revision.hash,
        "author": revision.user_id,
        "at": moment(revision.at),
        "rolled_back_to": revision.rolled_back_to,
    }


def _edges(edges: Iterable[Edge]) -> list[dict[str, Any]]:
    return [
        {
            "before": edge.before,
            "after": edge.after,
            "reason": edge.reason,
            "inferred": edge.inferred,
        }
        for edge in edges
    ]


def _changes(changes: Mapping[str, Change]) -> dict[str, Any]:
    return {
        name: {"before": change.before, "after": change.after} for name, change in changes.items()
    }


def _money(book: PriceBook, nanos: int) -> dict[str, str]:
    return money_json(Money(book.currency, nanos))


def _node_json(node: NodeRun, run: RunView) -> dict[str, Any]:
    wait = run.waits.get(node.node)
    return {
        "name": node.node,
        "state": node.state.value,
        "job": node.job_id,
        "attempt": node.attempt,
        "started_at": moment(node.started_at),
        "ended_at": moment(node.ended_at),
        "reason": node.reason,
        "wait": None if wait is None else {"reason": wait.reason, "detail": wait.detail},
        "taken_from": node.taken_from,
        "outputs": dict(node.outputs or {}),
        "error": None if node.failure is None else failure_json(node.failure),
        "after": _edges(edge for edge in run.edges if edge.after == node.node),
    }


def _day_json(day: Day, book: PriceBook) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "state": day.state.value,
        "attempt": day.attempt,
        "run": day.run_id,
        "resumes": day.resumes,
        "spent": _money(book, day.spent),
        "reserved": _money(book, day.reserved),
        "reason": day.reason,
    }


_REFERENCE: dict[str, Any] = {
    "title": "Reference",
    "description": "A value that is known when the node runs: of a parameter or of another node.",
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "ref": {
                    "type": "string",
                    "examples": ["params.day", "nodes.load.result.rows", "nodes.export.output.uri"],
                },
                "file": {"type": "string", "description": "Which one of `output.uri`."},
            },
            "required": ["ref"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "join": {
                    "type": "array",
                    "description": "Texts and references that become one text.",
                    "minItems": 1,
                    "items": {},
                }
            },
            "required": ["join"],
            "additionalProperties": False,
        },
    ],
}
_NODE: dict[str, Any] = {
    "needs": {
        "description": "Nodes that succeed before this one starts.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    },
    "when": {
        "description": "It is skipped unless this holds: `params.full and succeeded(load)`.",
        "type": ["string", "boolean"],
    },
    "retry": {
        "description": "How often its job is submitted.",
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": MOST_ATTEMPTS},
            {
                "type": "object",
                "properties": {
                    "attempts": {"type": "integer", "minimum": 1, "maximum": MOST_ATTEMPTS},
                    "pause": SPAN_SCHEMA,
                },
                "additionalProperties": False,
            },
        ],
    },
    "on_failure": {
        "description": "`fail` the run, `continue`, or the node that runs then.",
        "type": "string",
    },
}


def _with_references(schema: Any, *, top: bool = False) -> Any:
    """The same schema with references allowed in the place of every value."""
    if not isinstance(schema, dict):
        return schema
    told = deepcopy(schema)
    if "properties" in told:
        told["properties"] = {
            name: inner if top and name in FIXED else _with_references(inner)
            for name, inner in told["properties"].items()
        }
    for name in ("items", "additionalProperties"):
        if isinstance(told.get(name), dict):
            told[name] = _with_references(told[name])
    return told if top else {"anyOf": [told, {"$ref": "#/$defs/Reference"}]}
