"""A statement that the catalog answers: DDL, SHOW, DESCRIBE, EXPLAIN. No engine is started."""

from __future__ import annotations

import pyarrow as pa

from jobs.execution.execution import CancellingError, Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.lifecycle.events import EngineReady
from jobs.statements.shows import answer_show
from sql.explain import explain_lines
from sql.statement import StatementKind
from storage.catalog.commands import Command, CreateTable
from storage.meta.database import Tx
from storage.results.manifest import Manifest
from storage.results.writer import ResultWriter

_PLAN = pa.schema([pa.field("plan", pa.string(), nullable=False)])


def run_in_catalog(parts: Parts, execution: Execution) -> Outcome:
    """The answer; a change of the catalog happens in the transaction that shows it."""
    plan = execution.plan
    execution.step(EngineReady(at=parts.clock.now()))
    with execution.timed("execute"):
        outcome = _work(parts, execution)
    if execution.stop.is_set():
        raise CancellingError("the statement is to stop", job_id=execution.job.id)
    assert plan.kind is StatementKind.EXPLAIN or plan.command is not None or plan.show is not None
    return outcome


def _work(parts: Parts, execution: Execution) -> Outcome:
    plan = execution.plan
    if plan.kind is StatementKind.EXPLAIN:
        rows = pa.table([pa.array(explain_lines(plan), pa.string())], schema=_PLAN)
        return Outcome(manifest=_result(parts, execution, rows))
    if plan.show is not None:
        with parts.database.read() as tx:
            rows = answer_show(parts, tx, execution.job, plan.show)
        return Outcome(manifest=_result(parts, execution, rows))
    assert plan.command is not None
    return _change(parts, execution, plan.command)


def _change(parts: Parts, execution: Execution, command: Command) -> Outcome:
    """Files are listed and read before the transaction, which then only writes rows."""
    project_id = execution.job.project_id
    found = None
    if isinstance(command, CreateTable) and command.location is not None:
        found = parts.tables.discover(command)

    def commit(tx: Tx) -> object:
        return parts.tables.apply(tx, project_id, command, found=found)

    nothing = pa.schema([]).empty_table()
    return Outcome(manifest=_result(parts, execution, nothing), commit=commit)


def _result(parts: Parts, execution: Execution, rows: pa.Table) -> Manifest:
    job = execution.job
    writer = ResultWriter(
        parts.store,
        project_id=job.project_id,
        job_id=job.id,
        attempt=job.attempt,
        max_rows=job.statement.max_rows,
    )
    writer.declare(rows.schema)
    for batch in rows.to_batches():
        writer.write(batch)
    return writer.close()
