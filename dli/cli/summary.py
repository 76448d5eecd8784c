"""The few lines that say what a statement costs, reads and did."""

from __future__ import annotations

from rich.console import Console

from dli.cli.output import band, counted, print_items, printable, size
from dli.cli.session import Session
from dli.remote.statement import Estimate, Statement


def estimate_facts(statement: Statement) -> dict[str, object]:
    """Price, bytes and rows, known before the run."""
    estimate = statement.estimate
    if estimate is None:
        return {}
    return {
        "price": str(estimate.price) if estimate.price else None,
        "processes": f"{size(estimate.bytes_processed)} ({estimate.bytes_processed:,} bytes, "
        f"{estimate.exactness})",
        "rows": band(estimate.rows),
        "compute": f"{band(estimate.cu_seconds, digits=1)} CU seconds",
    }


def tables_read(console: Console, estimate: Estimate) -> None:
    """Which tables are read, and how many of their files and partitions."""
    rows = [
        {
            "name": table.name,
            "files": f"{table.files_kept:,} of {table.files:,}",
            "partitions": None if table.partitions_kept is None else f"{table.partitions_kept:,}",
        }
        for table in estimate.tables
    ]
    print_items(
        console, rows, {"name": "table", "files": "files read", "partitions": "partitions read"}
    )


def warn(session: Session, statement: Statement) -> None:
    """What the guard has to say about a statement that it let pass."""
    for finding in statement.findings:
        session.say(f"warning: {printable(finding['message'])} [{finding['rule']}]")


def last_line(statement: Statement) -> str:
    """``4 rows · 58.4 MB processed · USD 0.000265 · sail 0.7.2 · 0.04 s · stm_…``."""
    parts = []
    if statement.result and statement.result.schema:
        cut = " (cut)" if statement.result.truncated else ""
        parts.append(counted(statement.result.rows, "row") + cut)
    else:
        parts.append("done")
    if statement.estimate:
        parts.append(f"{size(statement.estimate.bytes_processed)} processed")
    if statement.bill:
        parts.append(f"billed {statement.bill}")
    if statement.engine:
        parts.append(statement.engine)
    parts.append(f"{statement.seconds:.2f} s")
    parts.append(statement.id)
    return " · ".join(parts)
