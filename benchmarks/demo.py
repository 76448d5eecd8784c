"""``make demo``: the main job of the service on real data, over its REST API, in one go.

Everything that is printed was measured or answered a moment before. The service runs with a
throw-away home, and every process that was started is ended, after a Ctrl-C too.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from benchmarks.service import Service, register_tpch, running_service
from benchmarks.tpch import TABLES, generate
from dli.cli.output import band, print_items, print_rows, size, told
from dli.client import Client, finished
from dli.remote.problems import ApiError
from dli.remote.statement import Statement

PRICING = """\
SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty,
       sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
       avg(l_extendedprice) AS avg_price, count(*) AS count_order
FROM lineitem WHERE l_shipdate <= DATE '1998-09-02'
GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus"""

SHIPPING = """\
SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate
FROM customer, orders, lineitem
WHERE c_mktsegment = :segment AND c_custkey = o_custkey AND l_orderkey = o_orderkey
  AND o_orderdate < :day AND l_shipdate > :day
GROUP BY l_orderkey, o_orderdate, o_shippriority
ORDER BY revenue DESC, o_orderdate LIMIT 5"""

FORECAST = """\
SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem
WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
  AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24"""

CREATE = """\
CREATE TABLE tpch.revenue_by_nation AS
SELECT n_name, sum(o_totalprice) AS revenue, count(*) AS orders
FROM orders JOIN customer ON o_custkey = c_custkey JOIN nation ON c_nationkey = n_nationkey
GROUP BY n_name"""

console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)


def main() -> None:
    """Run the demo; the exit code is 0 only if every quote was the bill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="0.1", help="TPC-H scale factor; 1 is about 1 GB")
    scale = parser.parse_args().scale
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="dli-demo-") as folder:
            run(scale, Path(folder))
    except KeyboardInterrupt:
        console.print("\nstopped; nothing runs any more")
        raise SystemExit(4) from None
    console.print(f"\n[bold]done in {time.monotonic() - began:.1f} s[/]; nothing runs any more")


def run(scale: str, folder: Path) -> None:
    """The tour, in a folder that is thrown away afterwards."""
    began = time.monotonic()
    data = generate(scale)
    total = sum(path.stat().st_size for path in data.iterdir())
    _step(f"TPC-H at scale {scale}: {size(total)} of Parquet in {time.monotonic() - began:.1f} s")
    home = folder / "home"
    home.mkdir()
    with running_service(home, allow=[data]) as service, service.client() as client:
        _step(
            f"service at {service.url} ready after {time.monotonic() - service.started:.2f} s"
            f" (docs at {service.url}/docs)"
        )
        _tour(service, client, data)


def _tour(service: Service, client: Client, data: Path) -> None:
    # Spark needs seconds to start; it does so while the first statements run on Sail.
    spark = client.submit("SELECT 1 AS ready", engine="spark", wait="0s")
    began = time.monotonic()
    register_tpch(client, data, TABLES)
    _step(f"{len(TABLES)} tables registered in {time.monotonic() - began:.2f} s: footers read once")

    _title("1  Pricing summary (TPC-H 1): the price before the run, and the bill")
    _show_sql(PRICING)
    _estimate(client.estimate(PRICING, database="tpch"))
    _answer(client.run(PRICING, database="tpch"))

    _title("2  Shipping priority (TPC-H 3), with parameters")
    parameters = {"segment": "BUILDING", "day": {"type": "date", "value": "1995-03-15"}}
    _show_sql(SHIPPING)
    _estimate(client.estimate(SHIPPING, database="tpch", parameters=parameters))
    _answer(client.run(SHIPPING, database="tpch", parameters=parameters))

    _title("3  Revenue forecast (TPC-H 6) on both engines: same answer, same price")
    _show_sql(FORECAST)
    _answer(client.run(FORECAST, database="tpch", engine="sail"))
    ready = finished(client.wait(spark))
    console.print(f"  spark was started meanwhile, in {ready.seconds:.1f} s", style="dim")
    _answer(client.run(FORECAST, database="tpch", engine="spark"))

    _title("4  A table made of a query")
    _show_sql(CREATE)
    _answer(client.run(CREATE, database="tpch"))
    _answer(client.run("SELECT * FROM revenue_by_nation ORDER BY revenue DESC LIMIT 3",
                       database="tpch"))  # fmt: skip

    _title("5  A cap that is too low: refused before anything runs")
    try:
        client.run(PRICING, database="tpch", max_cost="0.000001")
    except ApiError as error:
        console.print(
            f"  [red]{error.problem.status} {error.code}[/]: {error.problem.message}",
            soft_wrap=True,
        )
    else:
        raise SystemExit("a statement above its cap was run")

    _title("6  The usage of this project")
    report = client.usage(group_by="queue")
    _usage(report)


def _estimate(statement: Statement) -> None:
    estimate = statement.estimate
    assert estimate is not None
    tables = ", ".join(table.name for table in estimate.tables)
    console.print(
        f"  estimate: [bold]{estimate.price}[/] for {size(estimate.bytes_processed)} "
        f"({estimate.exactness}) of {tables}; rows {band(estimate.rows)}"
    )


def _answer(statement: Statement) -> None:
    result = statement.result
    if result is not None and result.schema:
        console.print()
        print_rows(console, result.schema, result.inline)
        console.print()
    same = "=" if statement.bill == statement.price else "but"
    colour = "green" if same == "=" else "red"
    console.print(
        f"  quoted {statement.price} {same} [bold {colour}]billed {statement.bill}[/] · "
        f"{size(statement.usage.get('bytes_processed', 0))} · {statement.engine} · "
        f"execute {statement.timings_ms.get('execute', 0.0):.0f} ms, "
        f"total {statement.timings_ms.get('total', 0.0):.0f} ms"
    )
    if statement.bill != statement.price:
        raise SystemExit("the bill is not the quote")


def _usage(report: dict[str, object]) -> None:
    items = report.get("items")
    assert isinstance(items, list)
    columns = {"queue": "queue", "statements": "statements", "bytes_processed": "bytes processed",
               "cu_milliseconds": "CU ms", "amount": "amount"}  # fmt: skip
    priced = [
        {**item, "amount": {"amount": item["amount"], "currency": item["currency"]}}
        for item in items
    ]
    print_items(console, priced, columns)
    if total := report.get("total"):
        console.print(f"  total {told(total)}")


def _title(text: str) -> None:
    console.print()
    console.print(Rule(Text(text, style="bold"), align="left", characters="─"))


def _step(text: str) -> None:
    console.print(f"[green]✓[/] {text}")


def _show_sql(text: str) -> None:
    syntax = Syntax(text, "sql", background_color="default", word_wrap=True)
    console.print(Panel.fit(syntax, border_style="dim"))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
