"""CTAS and INSERT: the engine writes files aside, the finishing transaction makes them the table's.

Nothing is visible before that transaction, and it compares the job's version, which names the
attempt: of several attempts at the same statement at most one commits, and a failed one leaves
files that only a sweep can see.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from jobs.statements.execution import Execution
from jobs.statements.outcome import Outcome
from jobs.statements.parts import Parts
from jobs.views import Progress
from storage.meta.database import Tx
from storage.results.manifest import Manifest
from storage.results.writer import ResultWriter
from storage.tables.writes import Commit, CommitMode

#: Run a query into files below a URI.
Write = Callable[[str, str], None]

_SCHEMA = pa.schema([pa.field("num_affected_rows", pa.int64(), nullable=False)])


def prepare_write(parts: Parts, execution: Execution, write: Write) -> Outcome:
    """Have the files written and looked at; the outcome's commit makes them the table's."""
    job, plan = execution.job, execution.plan
    target = plan.target
    assert target is not None
    assert plan.engine_sql is not None
    with parts.database.transaction() as tx:
        stage = parts.tables.stage(tx, table_id=target.table_id, job_id=job.id, attempt=job.attempt)
    write(plan.engine_sql, stage.uri)
    written = parts.tables.inspect(stage)
    execution.progress = Progress(rows=written.rows, bytes=written.size)
    change = Commit(
        project_id=job.project_id,
        stage=stage,
        files=written,
        mode=CommitMode(target.mode.value),
        database=target.table.database,
        name=target.table.name,
        table_id=target.table_id,
        base=target.base_snapshot,
        columns=target.columns,
        if_not_exists=target.if_not_exists,
        or_replace=target.or_replace,
        comment=target.comment,
    )

    def commit(tx: Tx) -> object:
        return parts.tables.commit(tx, change)

    return Outcome(manifest=count_result(parts, execution, written.rows), commit=commit)


def count_result(parts: Parts, execution: Execution, rows: int) -> Manifest:
    """The result of a write: how many rows it wrote."""
    writer = ResultWriter(parts.store, job_id=execution.job.id, attempt=execution.job.attempt)
    writer.write(pa.record_batch([pa.array([rows], pa.int64())], schema=_SCHEMA))
    return writer.close()
