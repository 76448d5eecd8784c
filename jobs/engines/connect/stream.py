"""The answer to one statement: responses in, Arrow batches out, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pyarrow as pa

from jobs.engines.errors import EngineLostError
from storage.base.errors import ServiceError
from storage.results.types import UnsupportedResultTypeError

_NO_COLUMNS = pa.schema([])


class ConnectStream:
    """Reads the responses once. ``translate`` names a failure, ``ended`` is called at each end.

    ``ended`` may itself raise: an end without an error is not always a success.
    """

    def __init__(
        self,
        responses: Any,
        *,
        translate: Callable[[grpc.RpcError], ServiceError],
        ended: Callable[[], None],
    ) -> None:
        self._batches = self._read(responses, translate, ended)
        self._first: pa.RecordBatch | None = None
        self._schema: pa.Schema | None = None

    @property
    def schema(self) -> pa.Schema:
        if self._schema is None:
            self._first = next(self._batches, None)
            self._schema = self._first.schema if self._first is not None else _NO_COLUMNS
        return self._schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        if self.schema is not _NO_COLUMNS and self._first is not None:
            first, self._first = self._first, None
            if first.num_rows:
                yield first
        for batch in self._batches:
            if batch.num_rows:
                yield batch

    def _read(
        self,
        responses: Any,
        translate: Callable[[grpc.RpcError], ServiceError],
        ended: Callable[[], None],
    ) -> Iterator[pa.RecordBatch]:
        parts: list[bytes] = []
        try:
            for response in responses:
                if not response.HasField("arrow_batch"):
                    continue
                batch = response.arrow_batch
                parts.append(batch.data)
                if batch.num_chunks_in_batch in (0, len(parts)):
                    yield from _decode(parts)
                    parts = []
        except grpc.RpcError as error:
            ended()
            raise translate(error) from error
        ended()
        if parts:
            raise EngineLostError("the engine's answer ends in the middle of a batch")


def _decode(parts: list[bytes]) -> Iterator[pa.RecordBatch]:
    """The batches of one Arrow stream; an empty batch if it has none, for its schema.

    Raises ``UnsupportedResultTypeError`` for columns that Arrow has no type for.
    """
    try:
        opened = pa.ipc.open_stream(parts[0] if len(parts) == 1 else b"".join(parts))
    except pa.ArrowException as error:  # Sail's decimal(0,0)
        raise UnsupportedResultTypeError(
            f"the engine's answer cannot be read: {error}", hint="cast columns to other types"
        ) from error
    with opened as reader:
        empty = True
        for batch in reader:
            empty = False
            yield batch
        if empty:
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
