"""How errors look, and which exit code each gives."""

from __future__ import annotations

from enum import IntEnum

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from dli.cli.output import printable
from dli.remote.problems import ApiError, Problem, StatementFailedError

#: Statuses of "understood, but no": no token, no right, a guard or a cap.
_REFUSALS = frozenset({401, 403, 422})


class Exit(IntEnum):
    """What a script can tell apart."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    CANCELLED = 4


def exit_of(error: Exception) -> Exit:
    """The exit code for what a client raised."""
    if isinstance(error, StatementFailedError):
        return Exit.CANCELLED if error.state == "cancelled" else Exit.FAILED
    if isinstance(error, ApiError) and error.status in _REFUSALS:
        return Exit.REFUSED
    return Exit.FAILED


def print_error(console: Console, message: str, *, hint: str | None = None) -> None:
    """``error: …`` and a line with what to do."""
    line = Text("error: ", style="bold red")
    line.append(printable(message), style="not bold default")
    console.print(line, soft_wrap=True)
    if hint:
        console.print(Text(f"  hint: {printable(hint)}"), soft_wrap=True)


def print_problem(console: Console, problem: Problem, *, sql: str | None = None) -> None:
    """A problem with the place in the SQL text, its code, and what to do about it."""
    print_error(console, f"{problem.message} [{problem.code}]")
    if sql is not None and problem.line:
        for line in excerpt(sql, line=problem.line, column=problem.column):
            console.print(Text(line), soft_wrap=True)
    if problem.hint:
        console.print(Text(f"  hint: {printable(problem.hint)}"), soft_wrap=True)


def excerpt(sql: str, *, line: int, column: int | None) -> list[str]:
    """The line of the text that is meant and a caret below its column, both counted from 1."""
    lines = sql.splitlines()
    if not 1 <= line <= len(lines):
        return []
    text = lines[line - 1].replace("\t", " ")
    number = f"{line:>4} | "
    shown = [number + printable(text)]
    if column is not None:
        before = printable(text[: min(column - 1, len(text))])
        shown.append(" " * (len(number) - 2) + "| " + " " * cell_len(before) + "^")
    return shown
