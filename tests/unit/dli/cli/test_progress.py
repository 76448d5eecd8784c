from __future__ import annotations

import io

from rich.console import Console

from dli.cli.progress import Progress, progress_text
from dli.remote.statement import Statement
from tests.support.envelopes import envelope


def test_line_tells_state_rows_bytes_price_and_seconds() -> None:
    body = envelope("running", progress={"rows": 1204, "bytes": 3_100_000, "fraction": None})
    line = progress_text(Statement.read(body), 2.42)
    assert line == "running · 1,204 rows · 3.1 MB · USD 0.000265 · 2.4 s"


def test_waiting_statement_tells_why() -> None:
    wait = {"reason": "queue_full", "position": 3, "detail": ""}
    line = progress_text(Statement.read(envelope("queued", wait=wait)), 0.1)
    assert line.startswith("queued · queue full, number 3 · ")


def test_what_keeps_executors_from_starting_is_told() -> None:
    obstacle = {"reason": "unschedulable", "message": "0/2 nodes", "executors": True}
    line = progress_text(Statement.read(envelope("running", obstacle=obstacle)), 0.1)
    assert line.startswith("running · executors do not start: unschedulable · ")


def test_first_line_is_before_any_answer() -> None:
    assert progress_text(None, 0.0) == "submitting · 0.0 s"


def test_nothing_is_shown_without_a_terminal() -> None:
    console = Console(file=io.StringIO())
    with Progress(console) as progress:
        progress.show(Statement.read(envelope("running")))
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_line_disappears_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with Progress(console) as progress:
        progress.show(Statement.read(envelope("running")))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "submitting" in shown or "running" in shown
    assert shown.endswith("\x1b[2K"), "the line is wiped out at the end"
