"""One line on a terminal that says how a statement is doing. Nothing elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from dli.cli.output import size
from dli.remote.statement import Statement


class Progress:
    """Shows state, rows, bytes, price and seconds while a statement runs; then disappears."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._began = time.monotonic()
        self._statement: Statement | None = None
        self._spinner = Spinner("dots")
        shown = console.is_terminal and not quiet
        self._live = (
            Live(console=console, get_renderable=self._line, refresh_per_second=8, transient=True)
            if shown
            else None
        )

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, statement: Statement) -> None:
        """Take over what the service last said."""
        self._statement = statement

    def _line(self) -> Spinner:
        seconds = time.monotonic() - self._began
        self._spinner.update(text=Text(progress_text(self._statement, seconds)))
        return self._spinner


def progress_text(statement: Statement | None, seconds: float) -> str:
    """``running · 1,204 rows · 3.1 MB · USD 0.000265 · 2.4 s``."""
    if statement is None:
        return f"submitting · {seconds:.1f} s"
    parts = [statement.state]
    if statement.wait and statement.state == "queued":
        position = statement.wait.get("position")
        reason = str(statement.wait.get("reason") or "").replace("_", " ")
        parts.append(f"{reason}, number {position}" if position else reason)
    if statement.obstacle:
        who = "executors do" if statement.obstacle.get("executors") else "engine does"
        parts.append(f"{who} not start: {statement.obstacle.get('reason')}")
    if rows := statement.progress.get("rows"):
        parts.append(f"{int(rows):,} rows")
    if got := statement.progress.get("bytes"):
        parts.append(size(got))
    if statement.price:
        parts.append(str(statement.price))
    parts.append(f"{seconds:.1f} s")
    return " · ".join(part for part in parts if part)
