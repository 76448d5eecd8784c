"""``dli sql``: one statement or a script, watched until its end."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from dli.cli.complaints import Exit, exit_of, print_problem
from dli.cli.options import Queue, grouped
from dli.cli.output import print_facts, print_json, print_text
from dli.cli.parameters import (
    checked_amount,
    checked_span,
    parse_bytes,
    parse_labels,
    parse_parameters,
    read_file,
)
from dli.cli.progress import Progress
from dli.cli.results import Form, choose_form, deliver
from dli.cli.script import split
from dli.cli.session import JsonFlag, Session, UsageError, session_of
from dli.cli.summary import estimate_facts, last_line, tables_read, warn
from dli.remote.problems import ApiError
from dli.remote.statement import Statement, finished


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """Where a statement runs, with what, and what it may cost."""

    database: Annotated[
        str | None, typer.Option(help="Where names without a database are looked up.")
    ] = None
    queue: Queue = None
    engine: Annotated[str | None, typer.Option(help="sail or spark; else the queue's.")] = None
    param: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE or NAME:TYPE=VALUE for `:NAME` in the text, "
            "as `day:date=2026-01-01`; repeatable."
        ),
    ] = None
    max_cost: Annotated[
        str | None, typer.Option(help="Refuse if the price is above this, as 0.05.")
    ] = None
    max_bytes: Annotated[
        str | None, typer.Option(help="Refuse if it would process more, as 10GB.")
    ] = None
    wait_for_budget: Annotated[
        bool, typer.Option("--wait-for-budget", help="Wait for money rather than be refused.")
    ] = False
    timeout: Annotated[str | None, typer.Option(help="Cancel it after this time, as 5m.")] = None
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="Cut the result after so many rows.")
    ] = None
    ttl: Annotated[str | None, typer.Option(help="Keep the result so long, as 7d.")] = None
    label: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, kept with the statement; repeatable.")
    ] = None

    def fields(self) -> dict[str, Any]:
        """By the names of the client's ``submit``."""
        return {
            "database": self.database,
            "queue": self.queue,
            "engine": self.engine,
            "parameters": parse_parameters(self.param),
            "max_cost": checked_amount("--max-cost", self.max_cost),
            "max_bytes": parse_bytes("--max-bytes", self.max_bytes),
            "on_budget": "wait" if self.wait_for_budget else None,
            "timeout": checked_span("--timeout", self.timeout),
            "result": self._result(),
            "labels": parse_labels(self.label),
        }

    def _result(self) -> dict[str, object] | None:
        wishes = {"max_rows": self.max_rows, "ttl": checked_span("--ttl", self.ttl)}
        return {name: value for name, value in wishes.items() if value is not None} or None


@dataclass(frozen=True, kw_only=True)
class Instead:
    """What may be done with a statement instead of running it."""

    estimate: Annotated[
        bool, typer.Option("--estimate", help="Show price, bytes and rows; run nothing.")
    ] = False
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the engine's plan; run nothing.")
    ] = False
    validate: Annotated[
        bool, typer.Option("--validate", help="Check syntax, names and types; run nothing.")
    ] = False

    def mode(self) -> str | None:
        """The one that was chosen, by its name in the API; None to run it."""
        chosen = [each.name for each in fields(self) if getattr(self, each.name)]
        if len(chosen) > 1:
            raise UsageError("choose one of --estimate, --explain and --validate")
        return chosen[0] if chosen else None


@grouped
def sql(
    context: typer.Context,
    text: Annotated[
        str | None, typer.Argument(metavar="SQL", help="The text; `-` reads standard input.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", help="A script: statements with `;` between, in turn."),
    ] = None,
    *,
    wishes: Wishes,
    instead: Instead,
    output: Annotated[
        Form | None,
        typer.Option("--output", help="How rows are written; a table if nothing is said."),
    ] = None,
    path: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the rows into this file.")
    ] = None,
    as_json: JsonFlag = False,
) -> int:
    """Run SQL and show its rows; on a terminal also how it is doing.

    Ctrl-C cancels the statement. Nothing is billed for one that failed or was cancelled.

    Examples: `dli sql "SELECT count(*) FROM sales.orders"`,
    `dli sql --estimate -f report.sql`, `dli sql "…" -o orders.parquet`
    """
    session = session_of(context)
    mode, options, form = instead.mode(), wishes.fields(), choose_form(output, path)
    pieces = split(read_text(text, file))
    if path is not None and len(pieces) > 1:
        raise UsageError(f"{len(pieces)} statements cannot write into one file")
    for piece in pieces:
        try:
            if mode is not None:
                answer = session.client.submit(piece.sql, mode=mode, **options)
                _print_plan(session, answer, mode=mode, as_json=as_json)
            elif (statement := _watch(session, piece.sql, options)) is None:
                return Exit.CANCELLED
            else:
                _print_rows(session, finished(statement), form=form, path=path, as_json=as_json)
        except ApiError as error:
            print_problem(session.err, piece.placed(error.problem), sql=piece.whole)
            return exit_of(error)
    return Exit.DONE


def read_text(text: str | None, file: Path | None) -> str:
    """The SQL from the argument, the file or standard input; raises ``UsageError``."""
    if (text is None) == (file is None):
        raise UsageError("give the SQL as an argument, as -f FILE, or as - for standard input")
    if text == "-":
        return sys.stdin.read()
    return text or "" if file is None else read_file(file)


def _print_rows(
    session: Session, statement: Statement, *, form: Form, path: Path | None, as_json: bool
) -> None:
    warn(session, statement)
    if as_json:
        print_json(session.out, statement.raw)
        return
    deliver(session, statement, form=form, path=path)
    if form is Form.TABLE or path is not None:
        session.say(last_line(statement))


def _watch(session: Session, sql: str, options: dict[str, Any]) -> Statement | None:
    """The statement at its end; None after Ctrl-C, when it has been stopped."""
    client = session.client
    statement: Statement | None = None
    try:
        with _stopped_by_term(), Progress(session.err, quiet=session.quiet) as progress:
            # No wait in the first call: the id must be known before anybody can press Ctrl-C.
            statement = client.submit(sql, wait="0s", **options)
            while not statement.terminal:
                progress.show(statement)
                poll = "1s" if session.err.is_terminal else "30s"
                statement = client.statement(statement.id, wait=poll, seen=statement.etag)
    except KeyboardInterrupt:
        if statement is None:
            raise
        session.err.print(f"cancelling {statement.id} …", highlight=False)
        ended = client.wait(client.cancel(statement.id))
        if ended.state == "finished":
            session.err.print(f"{ended.id} had finished already", highlight=False)
            return ended
        session.err.print(f"{ended.id} is {ended.state}; nothing is billed", highlight=False)
        return None
    return statement


def _print_plan(session: Session, answer: Statement, *, mode: str, as_json: bool) -> None:
    if as_json:
        print_json(session.out, answer.raw)
        return
    warn(session, answer)
    if mode == "explain":
        print_text(session.out, str(answer.raw.get("plan") or ""))
        return
    if mode == "validate":
        session.say(f"valid: {answer.statement_type}")
        return
    print_facts(session.out, {"type": answer.statement_type} | estimate_facts(answer))
    if answer.estimate and answer.estimate.tables:
        session.out.print()
        tables_read(session.out, answer.estimate)


@contextmanager
def _stopped_by_term() -> Iterator[None]:
    """A SIGTERM, as ``timeout`` sends it, cancels the statement just as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
