"""A bound table as a relation of the protocol: these files, these columns, and nothing found.

Partition values come from our own list. Spark reads them from the folders' names, which is by far
its fastest way, if these say the same as the list. For Sail, which has no notion of where a row
came from, each partition is a read of its own with the values as constants, and all of them a
union: 30 ms for 100 partitions, one second for 1,000.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from jobs.engines.connect.dialect import Dialect
from jobs.engines.connect.partitions import common_base
from jobs.engines.connect.protos import relations
from sql.statement import Binding
from storage.catalog.definitions import Column
from storage.tables.formats.options import reader_options
from storage.tables.snapshots import TableFile


def relation(binding: Binding, dialect: Dialect) -> Any:
    """The table as ``dialect`` reads it best; an empty one where no file is left."""
    if not binding.files:
        made = relations.Relation()
        made.local_relation.schema = schema_ddl(binding.columns)
        return made
    stored = tuple(c for c in binding.columns if c.name not in binding.partitioned_by)
    if not binding.partitioned_by:
        found = _read(binding, binding.columns, binding.files, dialect)
        return found if dialect.partition_folders else _project(found, binding, None)
    base = common_base(binding) if dialect.partition_folders else None
    if base is not None:
        found = _read(binding, binding.columns, binding.files, dialect)
        found.read.data_source.options["basePath"] = f"{base}/"
        return _project(found, binding, None)
    groups: dict[tuple[str | None, ...], list[TableFile]] = {}
    for file in binding.files:
        groups.setdefault(file.partition, []).append(file)
    parts = [
        _project(_read(binding, stored, files, dialect), binding, values)
        for values, files in groups.items()
    ]
    if len(parts) > 1 and not dialect.partition_folders:
        parts.insert(0, _nothing(binding))
    return _union(parts)


def schema_ddl(columns: Sequence[Column]) -> str:
    """``columns`` as DDL, names quoted."""
    return ", ".join(f"{quoted(column.name)} {column.type}" for column in columns)


def quoted(name: str) -> str:
    """The name of a column as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def _read(
    binding: Binding, columns: Sequence[Column], files: Sequence[TableFile], dialect: Dialect
) -> Any:
    made = relations.Relation()
    source = made.read.data_source
    source.format = binding.format.value
    source.schema = schema_ddl(columns)
    source.paths.extend(dialect.address(file.uri) for file in files)
    source.options.update(reader_options(binding.format, binding.options))
    return made


def _project(source: Any, binding: Binding, values: tuple[str | None, ...] | None) -> Any:
    """The columns in their order; partition columns from ``source`` or, if given, ``values``.

    Each gets its name again: Sail shows a column as the file writes it, ``B`` for our ``b``.
    """
    made = relations.Relation()
    made.project.input.CopyFrom(source)
    for column in binding.columns:
        if values is None or column.name not in binding.partitioned_by:
            alias = made.project.expressions.add().alias
            alias.name.append(column.name)
            alias.expr.unresolved_attribute.unparsed_identifier = quoted(column.name)
            continue
        value = values[binding.partitioned_by.index(column.name)]
        alias = made.project.expressions.add().alias
        alias.name.append(column.name)
        alias.expr.cast.type_str = column.type
        if value is None:
            alias.expr.cast.expr.literal.null.string.SetInParent()
        else:
            alias.expr.cast.expr.literal.string = value
    return made


def _nothing(binding: Binding) -> Any:
    """A first branch that has no rows, which Sail's optimizer cannot know.

    When a filter on the partition leaves one branch of a union, Sail 0.7.2 puts that branch in its
    place but looks for the columns by their ids in the first one: ``No field named "#2"``. So the
    first one always stays: a path that Sail does not find is to it a table without rows.
    """
    made = relations.Relation()
    source = made.read.data_source
    source.format = "parquet"
    source.schema = schema_ddl(binding.columns)
    source.paths.append(f"file:///nothing-{uuid.uuid4()}/")
    return made


def _union(parts: Sequence[Any]) -> Any:
    """One union of all, as a balanced tree: a long chain would overrun the server's stack."""
    if len(parts) == 1:
        return parts[0]
    half = (len(parts) + 1) // 2
    made = relations.Relation()
    made.set_op.left_input.CopyFrom(_union(parts[:half]))
    made.set_op.right_input.CopyFrom(_union(parts[half:]))
    made.set_op.set_op_type = relations.SetOperation.SET_OP_TYPE_UNION
    made.set_op.is_all = True
    return made
