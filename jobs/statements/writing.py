"""CTAS and INSERT: the engine writes files aside, the finishing transaction makes them the table's.

Nothing is visible before that transaction, and it compares the job's version, which names the
attempt: of several attempts at the same statement at most one commits, and a failed one leaves
files that only a sweep can see.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import pyarrow as pa

from jobs.execution.execution import Execution
from jobs.execution.outcome import Outcome
from jobs.execution.parts import Parts
from jobs.views import Progress
from sql.statement import WriteMode
from storage.catalog.datatypes import type_text
from storage.catalog.definitions import Column
from storage.meta.database import Tx
from storage.results.manifest import Manifest
from storage.results.writer import ResultWriter
from storage.tables.writes import Commit, CommitMode


class Writer(Protocol):
    """An engine's session, as a write needs it."""

    def write(self, sql: str, uri: str) -> None:
        """Run ``sql`` into files below ``uri``."""

    def schema(self, sql: str) -> pa.Schema:
        """The columns that ``sql`` gives, found by running it."""


_SCHEMA = pa.schema([pa.field("num_affected_rows", pa.int64(), nullable=False)])


def prepare_write(parts: Parts, execution: Execution, engine: Writer) -> Outcome:
    """Have the files written and looked at; the outcome's commit makes them the table's."""
    job, plan = execution.job, execution.plan
    target = plan.target
    assert target is not None
    assert plan.engine_sql is not None
    with parts.database.transaction() as tx:
        stage = parts.tables.stage(
            tx,
            project_id=job.project_id,
            table_id=target.table_id,
            job_id=job.id,
            attempt=job.attempt,
        )
    engine.write(plan.engine_sql, stage.uri)
    with execution.timed("publish"):
        written = parts.tables.inspect(stage)
    columns = target.columns
    if (
        target.mode is WriteMode.CREATE
        and not written.files
        and not all(column.type for column in columns)
    ):
        columns = _typed(columns, engine.schema(plan.engine_sql))
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
        columns=columns,
        if_not_exists=target.if_not_exists,
        or_replace=target.or_replace,
        comment=target.comment,
    )

    def commit(tx: Tx) -> object:
        return parts.tables.commit(tx, change)

    return Outcome(manifest=count_result(parts, execution, written.rows), commit=commit)


def count_result(parts: Parts, execution: Execution, rows: int) -> Manifest:
    """The result of a write: how many rows it wrote."""
    job = execution.job
    writer = ResultWriter(
        parts.store, project_id=job.project_id, job_id=job.id, attempt=job.attempt
    )
    writer.write(pa.record_batch([pa.array([rows], pa.int64())], schema=_SCHEMA))
    return writer.close()


def _typed(columns: tuple[Column, ...], schema: pa.Schema) -> tuple[Column, ...]:
    """``columns`` with the types that the engine gives them: no file was written to tell.

    A column of nothing but NULL is a string, as it is where files tell.
    """
    found = [
        Column(
            name=field.name,
            type="string" if pa.types.is_null(field.type) else type_text(field.type),
        )
        for field in schema
    ]
    if not columns:
        return tuple(found)
    return tuple(
        column if column.type else replace(column, type=told.type)
        for column, told in zip(columns, found, strict=True)
    )
