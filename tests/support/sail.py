"""A Sail server of one's own, spoken to in the plainest way: what it says it reads."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import pyarrow as pa

from jobs.engines.connect.protos import base, service

_UNITS = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000, "G": 1_000_000_000}
_SCANNED = re.compile(r"bytes_scanned=([\d.]+)(?: ?([KMBG]))?\b")


class Sail:
    """One session on a Sail server."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stub = service.SparkConnectServiceStub(channel)
        self._session = str(uuid.uuid4())

    def run(self, sql: str) -> pa.Table:
        """The rows of a statement."""
        request = base.ExecutePlanRequest(
            session_id=self._session, operation_id=str(uuid.uuid4()), client_type="test"
        )
        request.user_context.user_id = "test"
        request.plan.root.sql.query = sql
        batches: list[pa.RecordBatch] = []
        for reply in self._stub.ExecutePlan(request, timeout=120):
            if reply.HasField("arrow_batch"):
                with pa.ipc.open_stream(reply.arrow_batch.data) as reader:
                    batches += list(reader)
        return pa.Table.from_batches(batches) if batches else pa.table({})

    def bind(self, name: str, paths: Sequence[Path | str], schema: str) -> None:
        """Make files a temp view; the schema in Spark's DDL."""
        request = base.ExecutePlanRequest(
            session_id=self._session, operation_id=str(uuid.uuid4()), client_type="test"
        )
        request.user_context.user_id = "test"
        view = request.plan.command.create_dataframe_view
        view.name, view.replace = name, True
        source = view.input.read.data_source
        source.format, source.schema = "parquet", schema
        source.paths.extend(str(path) for path in paths)
        list(self._stub.ExecutePlan(request, timeout=60))

    def scanned(self, sql: str) -> list[tuple[int, int]]:
        """Bytes of each scan that runs, as (least, most): the text has four digits."""
        table = self.run(f"EXPLAIN ANALYZE {sql}")
        text = "\n".join(str(value) for column in table.columns for value in column.to_pylist())
        return [_range(number, unit) for number, unit in _SCANNED.findall(text)]


def _range(number: str, unit: str) -> tuple[int, int]:
    digits = len(number.partition(".")[2])
    half = _UNITS[unit] / 10**digits / 2 if unit else 0
    value = float(number) * _UNITS[unit]
    return int(value - half), int(value + half + 1) if unit else int(value)


@contextmanager
def sail_server() -> Iterator[Sail]:
    """A server on a free port of the loopback, ended with the block."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = Path(sys.executable).parent / "sail"
    process = subprocess.Popen(
        [command, "spark", "server", "--ip", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    options = [("grpc.max_receive_message_length", 64 * 2**20)]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            grpc.channel_ready_future(channel).result(timeout=30)
            yield Sail(channel)
    finally:
        process.terminate()
        process.wait(timeout=30)
