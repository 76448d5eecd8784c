"""What the service adds to its own warm engine: ``select 1`` and a small aggregation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.engines import ROOMY, bind_table, execute, open_raw_session
from benchmarks.measuring import Context, Row, paired
from benchmarks.service import register_tpch, running_service
from benchmarks.tpch import generate

ONE = "SELECT 1 AS one"
SMALL = (
    "SELECT o_orderpriority, count(*) AS n, sum(o_totalprice) AS total "
    "FROM {orders} GROUP BY o_orderpriority ORDER BY o_orderpriority"
)


def run(context: Context) -> Iterator[Row]:
    """Medians, in turns with the same text sent to the engine in a session that is open."""
    times = 30 if context.quick else 100
    data = generate("0.1")
    with (
        running_service(context.home("overhead"), allow=[data], environment=ROOMY) as service,
        service.client() as client,
    ):
        register_tpch(client, data, ["orders"])
        for engine in ("sail", "spark"):
            session = open_raw_session(service, client, engine)
            bind_table(session, client, "tpch.orders")
            rest = SMALL.format(orders="tpch.orders")
            alone = SMALL.format(orders="orders")
            for name, text, raw in (("select 1", ONE, ONE), ("small aggregation", rest, alone)):
                value, baseline = paired(
                    partial(client.run, text, engine=engine),
                    partial(execute, session, raw),
                    times=times,
                )
                yield Row(
                    name=f"{name} over REST, {engine}, p50",
                    value=value,
                    unit="ms",
                    baseline=baseline,
                    beside=f"engine alone: {value - baseline:+.1f} ms",
                    aim="≤ +10 ms",
                    met=value - baseline <= 10,
                )
            session.release()
