"""A result of a gigabyte: how fast it is stored and sent, and what memory the service needs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.measuring import Context, PeakMemory, Row
from benchmarks.service import register_tpch, running_service
from benchmarks.tpch import generate
from dli.remote.arrow import open_stream

MIB = 2**20
COLUMNS = (
    "l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, "
    "l_tax, l_returnflag, l_linestatus, l_shipdate, l_commitdate, l_receiptdate, "
    "l_shipinstruct, l_shipmode, l_comment"
)


def run(context: Context) -> Iterator[Row]:
    """All of lineitem through the service: run, store, and fetch as an Arrow stream."""
    data = generate(context.scale)
    with (
        running_service(context.home("large"), allow=[data]) as service,
        service.client() as client,
    ):
        register_tpch(client, data, ["lineitem"])
        client.run("SELECT 1")
        with PeakMemory(service.process.pid) as memory:
            began = time.perf_counter()
            statement = client.run(f"SELECT {COLUMNS} FROM tpch.lineitem")
            stored = time.perf_counter() - began
            began = time.perf_counter()
            with client.download(statement.id, "arrow") as pieces:
                size = _arrow_bytes(pieces)
            fetched = time.perf_counter() - began
    speed = size / 1e6 / (stored + fetched)
    yield Row(
        name=f"result of {size / 1e9:.2f} GB of Arrow, run and fetched",
        value=speed,
        unit="MB/s",
        baseline=size / 1e6 / stored,
        beside="run and stored only",
        aim="≥ 150",
        met=speed >= 150,
    )
    yield Row(
        name="… fetched once stored", value=size / 1e6 / fetched, unit="MB/s", aim="≥ 150",
        met=size / 1e6 / fetched >= 150,
    )  # fmt: skip
    yield Row(
        name="… peak memory of the service",
        value=memory.bytes / MIB,
        unit="MiB",
        baseline=memory.before / MIB,
        beside="before it",
        aim="< 400",
        met=memory.bytes / MIB < 400,
    )


def _arrow_bytes(pieces: Iterator[bytes]) -> int:
    """The size of the rows in memory; each batch is let go at once."""
    with open_stream(pieces) as reader:
        return sum(batch.nbytes for batch in reader)
