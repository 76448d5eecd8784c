"""Tables on the wire."""

from __future__ import annotations

from typing import Any

from dli.api.envelope import moment
from dli.api.schemas.catalog import TableBody
from dli.services import Services
from storage.catalog.commands import CreateTable
from storage.catalog.definitions import Column, TableDef, TableKind

_MOST_FILES = 1000


def command_of(database: str, body: TableBody) -> CreateTable:
    """What the request asks the catalog for."""
    return CreateTable(
        database=database,
        name=body.name,
        columns=tuple(Column(**column.model_dump()) for column in body.columns),
        format=body.format,
        location=body.location,
        options=tuple(sorted(body.options.items())),
        partitioned_by=tuple(body.partitioned_by),
        if_not_exists=body.if_not_exists,
        or_replace=body.or_replace,
        comment=body.comment,
    )


def table_json(table: TableDef) -> dict[str, Any]:
    """A table without its files."""
    return {
        "id": table.id,
        "database": table.database,
        "name": table.name,
        "kind": table.kind.value,
        "format": table.format.value if table.format else None,
        "location": table.location,
        "options": dict(table.options),
        "columns": [
            {
                "name": column.name,
                "type": column.type,
                "nullable": column.nullable,
                "comment": column.comment,
            }
            for column in table.columns
        ],
        "partitioned_by": list(table.partitioned_by),
        "view_sql": table.view_sql,
        "comment": table.comment,
        "version": table.version,
        "snapshot": table.snapshot_id,
        "created_at": moment(table.created_at),
    }


def detail_json(services: Services, table: TableDef) -> dict[str, Any]:
    """A table with files, snapshots and statistics; a view has none of them."""
    body = table_json(table) | {"files": [], "snapshots": [], "statistics": None}
    if table.kind is TableKind.VIEW:
        return body
    with services.database.read() as tx:
        details = services.tables.describe(tx, table)
    return body | {
        "location": details.uri,
        "files": [
            {
                "uri": file.uri,
                "size": file.size,
                "rows": file.rows,
                "partition": list(file.partition),
            }
            for file in details.files[:_MOST_FILES]
        ],
        "snapshots": [
            {
                "id": one.id,
                "number": one.number,
                "operation": one.operation.value,
                "statement": one.job_id,
                "created_at": moment(one.created_at),
                "files": one.files,
                "rows": one.rows,
                "bytes": one.bytes,
            }
            for one in details.snapshots
        ],
        "statistics": {
            "files": len(details.files),
            "bytes": details.bytes,
            "rows": details.rows,
            "row_groups": details.row_groups,
            "partitions": details.partitions,
            "columns": [
                {
                    "name": column.name,
                    "min": column.lower,
                    "max": column.upper,
                    "nulls": column.nulls,
                    "bytes": column.compressed,
                }
                for column in details.columns
            ],
        },
    }
