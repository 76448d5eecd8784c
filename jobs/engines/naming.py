"""Columns as the author named them: engines differ in how they call expressions."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa


def named_batch(batch: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """``batch`` with these names; where one is empty, or their number is another, the engine's."""
    told = _told(batch.schema.names, names)
    return batch if told == batch.schema.names else batch.rename_columns(told)


def named_schema(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """Likewise, before there are rows."""
    told = _told(schema.names, names)
    return pa.schema([field.with_name(name) for field, name in zip(schema, told, strict=True)])


def _told(given: list[str], names: Sequence[str]) -> list[str]:
    if len(names) != len(given):
        return given
    return [name or column for name, column in zip(names, given, strict=True)]
