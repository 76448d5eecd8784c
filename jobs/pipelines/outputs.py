"""What later nodes can use of a job that has finished, and what a job costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import PipelineSpec, StatementSpec
from jobs.lifecycle.states import JobState
from jobs.pipelines.values import INTEGERS, family_of
from jobs.store.jobs import job_of
from jobs.store.rows import jobs
from jobs.views import JobView
from storage.base.ids import JobId
from storage.base.quantities import InvalidAmountError, parse_amount
from storage.meta.database import Tx
from storage.results.render import schema_json

_WRITES = frozenset({"create_table_as", "insert", "insert_overwrite"})


def outputs_of(view: JobView) -> dict[str, Any]:
    """``rows`` of a result, or written; ``value``: the first column of the first row, typed;
    ``files``: names and URIs of what a task or a batch left. A batch tells rows and value itself.
    """
    found: dict[str, Any] = {}
    manifest = view.manifest
    if manifest is not None:
        found["rows"] = manifest.rows
        first = manifest.preview[0] if manifest.preview else None
        if first is not None and len(manifest.schema):
            type_ = schema_json(manifest.schema)[0]["type"]
            if family_of(type_) is not None:
                found["value"] = {"type": type_, "value": _plain(type_, first[0])}
            if _wrote(view.job) and first[0] is not None:
                found["rows"] = int(first[0])
    told = view.facts.get("told") or {}
    found |= {name: told[name] for name in ("rows", "value") if name in told}
    files = files_of(view.facts)
    if files:
        found["files"] = files
    return found


def files_of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Names and URIs of the files that a job kept, then of what a batch told that it wrote."""
    listed = facts.get("outputs") or ()
    kept = {str(each["name"]): str(each["uri"]) for each in listed if each.get("uri")}
    return kept | dict((facts.get("told") or {}).get("uris") or {})


def run_cost(tx: Tx, run_id: JobId) -> int:
    """Nanos that the jobs of a run have taken, or may still take."""
    rows = tx.execute(select(jobs).where(jobs.c.parent_id == run_id)).all()
    return sum(_cost_of(tx, job) for job in map(job_of, rows))


def _cost_of(tx: Tx, job: Job) -> int:
    """A job's quote while it may still finish, and if it finished; nothing if it ended otherwise.

    A run within a run takes its cap until its end, then what its jobs took. What else has no quote
    has no priced meter.
    """
    if isinstance(job.spec, PipelineSpec):
        cap = job.spec.max_cost
        return run_cost(tx, job.id) if cap is None or job.state.terminal else cap
    if job.quote is None or job.state in (JobState.FAILED, JobState.CANCELLED):
        return 0
    return job.quote.amount


def own_cap(document: Mapping[str, Any]) -> int | None:
    """The ``max_cost`` of a document in nanos; None without one that can be read."""
    written = document.get("max_cost")
    try:
        return parse_amount(written) if isinstance(written, str) else None
    except InvalidAmountError:
        return None


def _plain(type_: str, value: Any) -> Any:
    """A cell of a result as a value: 64-bit integers are text in JSON of results."""
    return int(value) if type_ in INTEGERS and value is not None else value


def _wrote(job: Job) -> bool:
    return isinstance(job.spec, StatementSpec) and job.spec.statement_type in _WRITES
