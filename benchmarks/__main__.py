"""``make bench``: one table; each row beside a baseline that was measured in the same run.

python -m benchmarks [--quick] [--write] [NAME]…
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Context, Row

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
#: Modules with a ``run(context)``, in the order of the table.
NAMES = (
    "overhead",
    "tpch_queries",
    "start",
    "batch_start",
    "load",
    "large_result",
    "estimate",
    "admission",
    "job_list",
    "schedules",
    "pods",
)


def main() -> None:
    """Run the named benchmarks, or all of them, and print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="TPC-H at scale 0.1, fewer rounds")
    parser.add_argument("--write", action="store_true", help="put the table into the docs")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(NAMES)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(NAMES)}")
    console = Console()
    rows: list[Row] = []
    for name in given.names or NAMES:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="dli-bench-") as folder:
            context = Context(folder=Path(folder), quick=given.quick)
            module = importlib.import_module(f"benchmarks.{name}")
            found = cast(Callable[[Context], Iterable[Row]], module.run)(context)
            rows += list(found)
        console.print(f"{name}: {time.monotonic() - began:.0f} s", style="dim")
    day = f"{datetime.now(UTC):%Y-%m-%d}, load {os.getloadavg()[2]:.1f}"
    machine = f"{day}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python "
    title = machine + platform.python_version() + (", quick" if given.quick else "")
    console.print(_table(title, rows))
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(written(page, markdown(title, rows)), encoding="utf-8")


def written(page: str, table: str) -> str:
    """The page with this table in the place of the old one."""
    before, mark, rest = page.partition("<!-- run -->\n")
    _, end, after = rest.partition("<!-- /run -->")
    assert mark
    assert end
    return f"{before}{mark}{table}\n{end}{after}"


def markdown(title: str, rows: Sequence[Row]) -> str:
    """The table as it goes into docs/benchmarks.md."""
    lines = [f"{title}", "", "| what | measured | baseline | aim |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(lines)


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("baseline")
    table.add_column("aim")
    for row in rows:
        style = {True: "green", False: "red", None: ""}[row.met]
        table.add_row(*_cells(row), style=style)
    return table


def _cells(row: Row) -> tuple[str, str, str, str]:
    beside = f"{_number(row.baseline)} {row.unit}".strip() if row.baseline is not None else ""
    verdict = {True: " ✓", False: " ✗", None: ""}[row.met]
    return (
        row.name,
        f"{_number(row.value)} {row.unit}".strip(),
        f"{beside} ({row.beside})" if row.beside else beside,
        row.aim + verdict,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
