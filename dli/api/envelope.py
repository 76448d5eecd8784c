"""The one envelope of statements, from the views that ``jobs`` gives. Pure: no I/O.

It is built by hand rather than validated by a model, because every answer passes here;
``schemas.statements`` documents the same names and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dli.api.wire import failure_json
from dli.billing.bills import Bill
from dli.billing.money import Money
from dli.billing.pricebook import PriceBook
from dli.billing.rating import BillLine, rate
from jobs.batches.sizes import size_name
from jobs.batches.submitting import BatchEstimate
from jobs.history.store import Observation
from jobs.lifecycle.job import Job
from jobs.lifecycle.runs import cluster_of
from jobs.lifecycle.spec import (
    BatchSpec,
    JobKind,
    JobSpec,
    PipelineSpec,
    StatementSpec,
    TaskSpec,
)
from jobs.lifecycle.states import JobState
from jobs.service import JobEvent, JobView, PlanView
from jobs.usage import COMPUTE_CU_MILLIS, SCAN_BYTES, Quote
from jobs.views import AttemptView, Wait
from sql.statement import Bounds, CostEstimate, Finding
from storage.base.ids import JobId, RunId
from storage.base.quantities import format_span
from storage.results.manifest import Manifest
from storage.results.render import schema_json

PREFIX = "/api/v1"


def moment(at: datetime | None) -> str | None:
    """``2026-11-21T09:00:00.123Z``."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def money_json(money: Money) -> dict[str, str]:
    """Money on the wire: a decimal as text, and its currency."""
    return {"amount": money.amount, "currency": money.currency}


def job_json(view: JobView, book: PriceBook) -> dict[str, Any]:
    """The whole envelope."""
    job = view.job
    body = _summary(view, book)
    body |= _asked(job.spec)
    body["findings"] = [_finding_json(finding) for finding in view.findings]
    if view.facts:
        body["facts"] = dict(view.facts)
    if job.kind is not JobKind.STATEMENT:
        body["attempts"] = [_attempt_json(attempt) for attempt in view.attempts]
    body["history"] = [
        {"state": event.state.value, "event": event.kind, "at": moment(event.at)}
        for event in view.history
    ]
    if view.manifest is not None:
        body["result"] = _result_json(view.manifest, view.result_expires_at)
    return body


def listed_json(view: JobView, book: PriceBook) -> dict[str, Any]:
    """The envelope in a list: without text, history and result."""
    return _summary(view, book)


def _summary(view: JobView, book: PriceBook) -> dict[str, Any]:
    job = view.job
    here = f"{PREFIX}/{NOUNS[job.kind]}/{job.id}"
    return {
        "id": job.id,
        "kind": job.kind.value,
        **_told(job),
        "state": job.state.value,
        "terminal": job.state.terminal,
        "project": job.project_id,
        "queue": job.queue,
        "labels": dict(job.spec.labels),
        "priority": job.priority,
        "parent": job.parent_id,
        "node": job.node,
        "attempt": job.attempt,
        "created_at": moment(job.created_at),
        "started_at": moment(job.started_at),
        "ended_at": moment(job.ended_at),
        "estimate": estimate_json(view.cost, job.quote),
        "wait": None if view.wait is None else wait_json(view.wait),
        "obstacle": None if view.obstacle is None else asdict(view.obstacle),
        "timings_ms": {name: round(value, 3) for name, value in view.timings.items()},
        "progress": {
            "rows": view.progress.rows,
            "bytes": view.progress.bytes,
            "fraction": view.progress.fraction,
        },
        "result": None,
        "usage": usage_json(view.usage),
        "bill": bill_of(view, book),
        "error": None if job.failure is None else failure_json(job.failure),
        "history": [],
        "links": {"self": here} | {name: f"{here}/{name}" for name in _LINKS[job.kind]},
    }


def wait_json(wait: Wait) -> dict[str, Any]:
    """Why a job waits, until when, and what would start it now."""
    return {
        "reason": wait.reason,
        "position": wait.position,
        "detail": wait.detail,
        "starts_at": moment(wait.starts_at),
        "options": [
            {
                "change": option.change,
                "value": option.value,
                "detail": option.detail,
                "price": None
                if option.quote is None
                else money_json(Money(option.quote.currency, option.quote.amount)),
            }
            for option in wait.options
        ],
    }


def past_json(seen: Observation) -> dict[str, Any]:
    """An earlier attempt at the same work."""
    return {
        "job": seen.job_id,
        "attempt": seen.attempt,
        "ended_at": moment(seen.at),
        "outcome": seen.outcome,
        "seconds": seen.wall.total_seconds(),
        "cpu_seconds": None if seen.cpu_ms is None else seen.cpu_ms / 1000,
        "peak_memory": seen.peak_memory,
        "spill_bytes": seen.spill_bytes,
        "memory_bytes": seen.memory_bytes,
    }


def _told(job: Job) -> dict[str, Any]:
    """What lists tell of a job of its kind, beside what all have."""
    match job.spec:
        case StatementSpec() as spec:
            return {
                "statement_type": spec.statement_type,
                "database": spec.database,
                "engine": {
                    "name": spec.engine.value if spec.engine else None,
                    "version": job.engine_version,
                    "image": job.image,
                    "canary": job.canary_id,
                    "reason": spec.engine_reason,
                },
            }
        case BatchSpec() as spec:
            return {"name": spec.name, "language": spec.language.value, "database": spec.database}
        case TaskSpec() as spec:
            return {"name": spec.name}
        case PipelineSpec() as spec:
            return {"name": spec.pipeline, "revision": spec.revision}


def _asked(spec: JobSpec) -> dict[str, Any]:
    """What was asked for, in full; secrets are never part of a spec."""
    match spec:
        case StatementSpec():
            return {"sql": spec.sql}
        case BatchSpec() | TaskSpec() | PipelineSpec():
            return {"spec": plain(spec)}


_LINKS: dict[JobKind, tuple[str, ...]] = {
    JobKind.STATEMENT: ("result", "cancel", "events", "bill"),
    JobKind.BATCH: ("logs", "cancel", "events", "bill"),
    JobKind.TASK: ("logs", "cancel", "events", "bill"),
    JobKind.PIPELINE: ("cancel", "events", "bill"),
}
#: Under which path a kind of job is found; all of them are under ``jobs`` as well.
NOUNS: dict[JobKind, str] = {
    JobKind.STATEMENT: "statements",
    JobKind.BATCH: "jobs",
    JobKind.TASK: "jobs",
    JobKind.PIPELINE: "jobs",
}


def batch_estimate_json(told: BatchEstimate) -> dict[str, Any]:
    """The answer to the ``estimate`` of a batch: no job, and no price."""
    return {
        "id": None,
        "kind": JobKind.BATCH.value,
        "mode": "estimate",
        "name": told.spec.name,
        "queue": told.queue,
        "size": {
            "name": size_name(told.size),
            "cores": told.size.cores,
            "memory_bytes": told.size.memory_bytes,
        },
        "timeout": format_span(told.spec.timeout),
        "cu_milliseconds": {"likely": told.likely_cu_millis, "most": told.most_cu_millis},
        "price": None,
        "reason": told.reason,
        "spec": plain(told.spec),
    }


def plan_json(plan: PlanView, *, mode: str) -> dict[str, Any]:
    """The answer to ``validate``, ``estimate`` and ``explain``: the envelope's names, no job."""
    return {
        "id": None,
        "kind": "statement",
        "mode": mode,
        "statement_type": plan.statement_type.value,
        "state": None,
        "terminal": True,
        "project": plan.project_id,
        "queue": plan.queue,
        "database": plan.database,
        "engine": {
            "name": plan.engine.value if plan.engine else None,
            "version": None,
            "reason": plan.engine_reason,
        },
        "reads": list(plan.reads),
        "columns": list(plan.columns),
        "estimate": estimate_json(plan.cost, plan.quote),
        "findings": [_finding_json(finding) for finding in plan.findings],
        "timings_ms": {"prepare": round(plan.prepare_ms, 3)},
        "plan": "\n".join(plan.text) or None,
    }


def estimate_json(cost: CostEstimate | None, quote: Quote | None) -> dict[str, Any] | None:
    """Quantities with their price; None where nothing was estimated."""
    if cost is None and quote is None:
        return None
    price = None if quote is None else money_json(Money(quote.currency, quote.amount))
    if cost is None:
        return {
            "bytes_processed": 0,
            "exactness": "exact",
            "rows": None,
            "cu_seconds": None,
            "price": price,
            "tables": [],
        }
    return {
        "bytes_processed": cost.bytes_processed,
        "exactness": cost.exactness.value,
        "rows": {"low": cost.rows.low, "likely": cost.rows.likely, "high": cost.rows.high},
        "cu_seconds": _seconds(cost.cu_millis),
        "price": price,
        "tables": [
            {
                "name": table.name,
                "snapshot": table.snapshot_id,
                "scans": table.scans,
                "columns": list(table.columns),
                "bytes": table.bytes,
                "files": table.files,
                "files_kept": table.files_kept,
                "partitions": table.partitions,
                "partitions_kept": table.partitions_kept,
                "row_groups": table.row_groups,
                "row_groups_kept": table.row_groups_kept,
            }
            for table in cost.tables
        ],
    }


def usage_json(usage: Mapping[str, int]) -> dict[str, int]:
    """The meters by the names of the envelope."""
    return {
        "bytes_processed": usage.get(SCAN_BYTES, 0),
        "cu_milliseconds": usage.get(COMPUTE_CU_MILLIS, 0),
    }


def bill_of(view: JobView, book: PriceBook) -> dict[str, Any] | None:
    """What a job that ended is billed: its quote if it finished, else nothing.

    The lines come from the function that made the quote, at the quote's moment. Were the list of
    prices edited in the past, the kept bill (``GET …/bill``) would have them, and none are told.
    """
    job = view.job
    if not job.state.terminal or job.quote is None:
        return None
    if job.state is not JobState.FINISHED:
        return {**money_json(Money(job.quote.currency, 0)), "lines": []}
    rated = rate(
        book,
        price_class=job.quote.price_class,
        quantities=job.quote.quantities,
        at=job.quote.priced_at,
    )
    lines = rated.lines if rated.total.nanos == job.quote.amount else ()
    return {
        **money_json(Money(job.quote.currency, job.quote.amount)),
        "lines": [line_json(line) for line in lines],
    }


def kept_bill_json(job_id: JobId, bill: Bill | None, currency: str) -> dict[str, Any]:
    """A bill as it was settled; a job without a price has an empty one in ``currency``."""
    nothing = Money(currency, 0)
    return {
        "statement": job_id,
        "state": bill.state.value if bill else "none",
        **money_json(bill.amount if bill else nothing),
        "quoted": money_json(bill.quoted if bill else nothing),
        "price_class": bill.price_class if bill else None,
        "priced_at": moment(bill.priced_at) if bill else None,
        "settled_at": moment(bill.settled_at) if bill else None,
        "lines": [line_json(line) for line in bill.lines] if bill else [],
    }


def line_json(line: BillLine) -> dict[str, Any]:
    """One line of a bill."""
    return {
        "meter": line.meter,
        "quantity": line.quantity,
        "charged": line.charged,
        "unit": "B",
        "price": line.price.amount.amount,
        "per": line.price.per,
        "effective_from": moment(line.effective_from),
        "amount": line.amount.amount,
        "currency": line.amount.currency,
    }


def event_json(event: JobEvent) -> dict[str, Any]:
    """One step of a job, as the stream of events tells it."""
    return {
        "version": event.version,
        "state": event.state.value,
        "terminal": event.state.terminal,
        "event": event.kind,
        "at": moment(event.at),
        "detail": dict(event.detail),
    }


def etag_of(view: JobView) -> str:
    """Changes whenever the state, the error, the result or what is in the way does; progress alone
    does not count."""
    result = "-" if view.manifest is None else "r"
    obstacle = "" if view.obstacle is None else view.obstacle.reason
    return f'W/"{view.job.version}{result}{obstacle}"'


def plain(value: Any) -> Any:
    """A frozen value as JSON: spans as text, fields without a value left out."""
    if isinstance(value, timedelta):
        return format_span(value)
    if is_dataclass(value):
        told = {each.name: getattr(value, each.name) for each in fields(value)}
        return {name: plain(each) for name, each in told.items() if each not in (None, (), {})}
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value


def _attempt_json(attempt: AttemptView) -> dict[str, Any]:
    return {
        "attempt": attempt.attempt,
        "run": attempt.run_id,
        "cluster": cluster_of(RunId(attempt.run_id)),
        "started_at": moment(attempt.started_at),
        "ended_at": moment(attempt.ended_at),
        "exit_code": attempt.exit_code,
        "reason": attempt.reason,
        "cpu_milliseconds": attempt.cpu_ms,
        "peak_memory": attempt.peak_memory,
        "facts": dict(attempt.facts),
    }


def _result_json(manifest: Manifest, expires_at: datetime | None) -> dict[str, Any]:
    return {
        "schema": schema_json(manifest.schema),
        "rows": manifest.rows,
        "bytes": manifest.bytes,
        "truncated": manifest.truncated,
        "truncated_by": manifest.truncated_by,
        "expires_at": moment(expires_at),
        "chunks": [
            {
                "index": chunk.index,
                "rows": chunk.rows,
                "bytes": chunk.bytes,
                "sha256": chunk.sha256,
            }
            for chunk in manifest.chunks
        ],
        "inline": manifest.preview,
    }


def _finding_json(finding: Finding) -> dict[str, str]:
    return {"rule": finding.rule, "level": finding.level.value, "message": finding.message}


def _seconds(bounds: Bounds) -> dict[str, float | None]:
    return {
        "low": bounds.low / 1000,
        "likely": bounds.likely / 1000,
        "high": None if bounds.high is None else bounds.high / 1000,
    }
