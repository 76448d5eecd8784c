from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

from jobs.engines.connect.protos import base
from jobs.engines.connect.stream import ConnectStream
from jobs.engines.errors import EngineLostError, EngineStatementError
from storage.results.types import UnsupportedResultTypeError


def ipc(*batches: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def responses(parts: Sequence[bytes], *, chunks: int = 0) -> list[object]:
    made = [base.ExecutePlanResponse(session_id="x")]
    for part in parts:
        made.append(base.ExecutePlanResponse())
        made[-1].arrow_batch.data = part
        if chunks:
            made[-1].arrow_batch.num_chunks_in_batch = chunks
    return made


def stream(made: Sequence[object], ended: list[str] | None = None) -> ConnectStream:
    calls = ended if ended is not None else []
    return ConnectStream(
        iter(made),
        translate=lambda error: EngineStatementError(str(error)),
        ended=lambda: calls.append("ended"),
    )


BATCH = pa.record_batch({"a": [1, 2]})


def test_batches_come_in_order_and_the_end_is_told() -> None:
    ended: list[str] = []
    other = pa.record_batch({"a": [3]})
    made = stream(responses([ipc(BATCH), ipc(other)]), ended)
    assert made.schema == BATCH.schema
    assert not ended
    assert [batch.num_rows for batch in made] == [2, 1]
    assert ended == ["ended"]


def test_batch_in_chunks_is_put_together() -> None:
    data = ipc(BATCH)
    parts = [data[:10], data[10:100], data[100:]]
    assert [batch.to_pydict() for batch in stream(responses(parts, chunks=3))] == [{"a": [1, 2]}]


def test_answer_that_ends_within_a_batch_is_a_loss() -> None:
    with pytest.raises(EngineLostError):
        list(stream(responses([ipc(BATCH)[:10]], chunks=2)))


def test_columns_that_arrow_does_not_know_are_the_statements_fault() -> None:
    table = pa.record_batch({"a": pa.nulls(0, pa.decimal128(7, 0))})
    data = ipc(table)
    assert data.count(b"\x07\0\0\0") == 1
    with pytest.raises(UnsupportedResultTypeError, match="recision"):
        list(stream(responses([data.replace(b"\x07\0\0\0", b"\0\0\0\0")])))


def test_empty_result_has_a_schema() -> None:
    made = stream(responses([ipc(BATCH.slice(0, 0))]))
    assert list(made) == []
    assert made.schema == BATCH.schema


def test_stream_without_any_batch_has_no_columns() -> None:
    made = stream(responses([]))
    assert list(made) == []
    assert made.schema.names == []
