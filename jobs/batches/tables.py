"""The tables of a batch as its program gets them: which files each had at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.engines.connect.partitions import common_base
from jobs.engines.spark import address
from jobs.errors import RequestInvalidError
from jobs.execution.parts import Parts
from jobs.lifecycle.spec import EngineName
from sql.statement import Binding
from storage.base.ids import ProjectId
from storage.catalog.definitions import TableFormat, TableKind
from storage.tables.formats.options import reader_options


def bindings_of(parts: Parts, project_id: ProjectId, tables: Sequence[str]) -> tuple[Binding, ...]:
    """Each of ``database.table`` with all of its files, as of one transaction.

    The view of a table has its name without the database. External tables are listed again when
    due. Raises the catalog's error for a table that is not there, ``RequestInvalidError`` for a
    view, and ``EngineCannotReadError`` where Spark has no way to the files.
    """
    for name in tables:
        with parts.database.read() as tx:
            definition = parts.catalog.require_table(tx, project_id, *_split(name))
        if definition.kind is TableKind.VIEW:
            raise RequestInvalidError(
                f"{name} is a view: a batch can only be given tables", field="tables"
            )
        if definition.kind is TableKind.EXTERNAL:
            parts.tables.refresh(definition, max_age=parts.settings.refresh_after)
    found = []
    with parts.database.read() as tx:
        for name in tables:
            definition = parts.catalog.require_table(tx, project_id, *_split(name))
            snapshot = parts.tables.snapshot(tx, definition)
            found.append(
                Binding(
                    view=definition.name,
                    table_id=definition.id,
                    snapshot_id=snapshot.snapshot_id,
                    format=definition.format or TableFormat.PARQUET,
                    columns=definition.columns,
                    partitioned_by=definition.partitioned_by,
                    options=definition.options,
                    files=snapshot.files,
                )
            )
    parts.pool.check(EngineName.SPARK, found)
    return tuple(found)


def described(binding: Binding) -> dict[str, Any]:
    """The table as ``programs/dli_batch.py`` reads it: JSON."""
    base = common_base(binding) if binding.files and binding.partitioned_by else None
    return {
        "view": binding.view,
        "format": binding.format.value,
        "columns": [{"name": each.name, "type": each.type} for each in binding.columns],
        "partitioned_by": list(binding.partitioned_by),
        "options": reader_options(binding.format, binding.options),
        "base": None if base is None else f"{address(base)}/",
        "files": [
            {"path": address(file.uri), "partition": list(file.partition)} for file in binding.files
        ],
    }


def _split(name: str) -> tuple[str, str]:
    database, _, table = name.partition(".")
    return database, table
