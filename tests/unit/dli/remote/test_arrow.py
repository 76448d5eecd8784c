from __future__ import annotations

import io

import pyarrow as pa
import pytest

from dli.remote.arrow import read_table


@pytest.mark.parametrize("step", [1, 777, 10**9])
def test_table_is_read_from_pieces_of_any_size(step: int) -> None:
    table = pa.table({"n": list(range(2000)), "s": [str(n) for n in range(2000)]})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
    content = sink.getvalue()
    pieces = (content[start : start + step] for start in range(0, len(content), step))
    assert read_table(pieces).equals(table)
