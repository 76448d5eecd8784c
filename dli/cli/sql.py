"""``dli sql``: one statement or a script, watched until its end."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from dli.cli.complaints import Exit, exit_of, print_problem
from dli.cli.output import print_facts, print_json
from dli.cli.parameters import parse_labels, parse_parameters
from dli.cli.progress import Progress
from dli.cli.results import Form, choose_form, deliver
from dli.cli.script import Piece, split
from dli.cli.session import JsonFlag, Session, UsageError, session_of
from dli.cli.summary import estimate_facts, last_line, tables_read, warn
from dli.client import Client, finished
from dli.remote.problems import ApiError
from dli.remote.statement import Statement
from storage.base.errors import InvalidInputError
from storage.base.quantities import parse_size, parse_span

_MONEY = re.compile(r"\d+(\.\d{1,9})?")


def sql(
    context: typer.Context,
    text: Annotated[
        str | None, typer.Argument(metavar="SQL", help="The text; `-` reads standard input.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", help="A script: statements with `;` between, in turn."),
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="Where names without a database are looked up.")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="The queue to wait in.")] = None,
    engine: Annotated[str | None, typer.Option(help="sail or spark; else the queue's.")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE or NAME:TYPE=VALUE for `:NAME` in the text, "
            "as `day:date=2026-01-01`; repeatable."
        ),
    ] = None,
    max_cost: Annotated[
        str | None, typer.Option(help="Refuse if the price is above this, as 0.05.")
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(help="Refuse if it would process more, as 10GB.")
    ] = None,
    wait_for_budget: Annotated[
        bool,
        typer.Option("--wait-for-budget", help="Wait for money rather than be refused."),
    ] = False,
    timeout: Annotated[str | None, typer.Option(help="Cancel it after this time, as 5m.")] = None,
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="Cut the result after so many rows.")
    ] = None,
    ttl: Annotated[str | None, typer.Option(help="Keep the result so long, as 7d.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, kept with the statement; repeatable.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Show price, bytes and rows; run nothing.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show the engine's plan; run nothing.")
    ] = False,
    validate: Annotated[
        bool, typer.Option("--validate", help="Check syntax, names and types; run nothing.")
    ] = False,
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
    if sum((estimate, explain, validate)) > 1:
        raise UsageError("choose one of --estimate, --explain and --validate")
    mode = "estimate" if estimate else "explain" if explain else "validate" if validate else None
    options: dict[str, object] = {
        "database": database,
        "queue": queue,
        "engine": engine,
        "parameters": parse_parameters(param or ()),
        "max_cost": _money(max_cost),
        "max_bytes": _bytes(max_bytes),
        "on_budget": "wait" if wait_for_budget else None,
        "timeout": _span("--timeout", timeout),
        "result": _result(max_rows, _span("--ttl", ttl)),
        "labels": parse_labels(label or ()),
    }
    form = choose_form(output, path)
    pieces = split(read_text(text, file))
    if path is not None and len(pieces) > 1:
        raise UsageError(f"{len(pieces)} statements cannot write into one file")
    with session.client() as client:
        for piece in pieces:
            code = _one(
                session,
                client,
                piece,
                mode=mode,
                options=options,
                form=form,
                path=path,
                as_json=as_json,
            )
            if code is not Exit.DONE:
                return code
    return Exit.DONE


def read_text(text: str | None, file: Path | None) -> str:
    """The SQL from the argument, the file or standard input; raises ``UsageError``."""
    if (text is None) == (file is None):
        raise UsageError("give the SQL as an argument, as -f FILE, or as - for standard input")
    if text == "-" or (file is not None and str(file) == "-"):
        return sys.stdin.read()
    if file is None:
        return text or ""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8") from error


def _one(
    session: Session,
    client: Client,
    piece: Piece,
    *,
    mode: str | None,
    options: dict[str, object],
    form: Form,
    path: Path | None,
    as_json: bool,
) -> Exit:
    try:
        if mode is not None:
            answer = client.submit(piece.sql, mode=mode, **options)  # type: ignore[arg-type]
            _print_plan(session, answer, mode=mode, as_json=as_json)
            return Exit.DONE
        statement = _watch(session, client, piece.sql, options)
        if statement is None:
            return Exit.CANCELLED
        finished(statement)
    except ApiError as error:
        print_problem(session.err, piece.placed(error.problem), sql=piece.whole)
        return exit_of(error)
    warn(session, statement)
    if as_json:
        print_json(session.out, statement.raw)
        return Exit.DONE
    deliver(session, client, statement, form=form, path=path)
    if form is Form.TABLE or path is not None:
        session.say(last_line(statement))
    return Exit.DONE


def _watch(
    session: Session, client: Client, sql: str, options: dict[str, object]
) -> Statement | None:
    """The statement at its end; None after Ctrl-C, when it has been stopped."""
    statement: Statement | None = None
    try:
        with _stopped_by_term(), Progress(session.err, quiet=session.quiet) as progress:
            # No wait in the first call: the id must be known before anybody can press Ctrl-C.
            statement = client.submit(sql, wait="0s", **options)  # type: ignore[arg-type]
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
        session.out.print(
            str(answer.raw.get("plan") or ""),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
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


def _money(text: str | None) -> str | None:
    if text is not None and not _MONEY.fullmatch(text):
        raise UsageError(f"--max-cost {text}: write an amount like 0.05")
    return text


def _bytes(text: str | None) -> int | None:
    try:
        return None if text is None else parse_size(text)
    except InvalidInputError as error:
        raise UsageError(f"--max-bytes: {error.message}; {error.hint}") from error


def _result(max_rows: int | None, ttl: str | None) -> dict[str, object] | None:
    wishes = {"max_rows": max_rows, "ttl": ttl}
    return {name: value for name, value in wishes.items() if value is not None} or None


def _span(option: str, text: str | None) -> str | None:
    try:
        if text is not None:
            parse_span(text)
    except InvalidInputError as error:
        raise UsageError(f"{option}: {error.message}; {error.hint}") from error
    return text
