"""What an EXPLAIN shows: the statement as it will run, and what it may touch."""

from __future__ import annotations

from collections.abc import Iterator

from sql.statement import Bounds, CostEstimate, ExplainLevel, PreparedStatement, TableUse
from storage.base.quantities import format_size


def explain_lines(prepared: PreparedStatement) -> tuple[str, ...]:
    """The lines of an EXPLAIN, one row each, for people.

    EXTENDED adds the SQL that the engine gets, FORMATTED each table's columns, COST the compute;
    prices are not known here.
    """
    level = prepared.explain_level or ExplainLevel.SIMPLE
    return tuple(_lines(prepared, level))


def _lines(prepared: PreparedStatement, level: ExplainLevel) -> Iterator[str]:
    kind = prepared.explains or prepared.kind
    yield f"Statement: {kind.value.replace('_', ' ')}"
    if prepared.target is not None:
        yield f"Writes: {prepared.target.table} ({prepared.target.mode.value})"
    if prepared.column_names:
        yield f"Columns: {', '.join(prepared.column_names)}"
    if prepared.cost is not None:
        yield from _cost(prepared.cost, level)
    for finding in prepared.findings:
        yield f"Guard: {finding.level.value} {finding.rule}: {finding.message}"
    if level is ExplainLevel.EXTENDED and prepared.engine_sql is not None:
        yield "Engine SQL:"
        yield from (f"  {line}" for line in prepared.engine_sql.splitlines())


def _cost(cost: CostEstimate, level: ExplainLevel) -> Iterator[str]:
    size = f"{cost.bytes_processed} bytes ({format_size(cost.bytes_processed)})"
    yield f"Processes: {size}, {cost.exactness.value}"
    yield f"Rows: {_bounds(cost.rows)}"
    if level in (ExplainLevel.COST, ExplainLevel.EXTENDED):
        yield f"Compute: {_bounds(cost.cu_millis)} CU-ms"
    for table in cost.tables:
        yield from _table(table, level)


def _table(table: TableUse, level: ExplainLevel) -> Iterator[str]:
    times = "once" if table.scans == 1 else f"{table.scans} times"
    yield f"Scan: {table.name} {times}, {table.bytes} bytes"
    yield f"  files: {table.files_kept} of {table.files}"
    if table.partitions is not None:
        yield f"  partitions: {table.partitions_kept} of {table.partitions}"
    if table.row_groups is not None:
        yield f"  row groups: {table.row_groups_kept} of {table.row_groups}"
    if level in (ExplainLevel.FORMATTED, ExplainLevel.EXTENDED):
        yield f"  columns: {', '.join(table.columns) or '(only rows are counted)'}"
        yield f"  snapshot: {table.snapshot_id}"


def _bounds(bounds: Bounds) -> str:
    high = "unknown" if bounds.high is None else str(bounds.high)
    return f"about {bounds.likely} (from {bounds.low} to {high})"
