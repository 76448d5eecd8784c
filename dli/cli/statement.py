"""``dli statement``: what was asked for, and what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dli.cli.complaints import print_problem
from dli.cli.output import print_facts, print_items, print_json, size
from dli.cli.results import Form, choose_form, deliver
from dli.cli.session import JsonFlag, Session, session_of
from dli.cli.summary import estimate_facts, tables_read
from dli.client import finished
from dli.remote.statement import Statement

app = typer.Typer(
    no_args_is_help=True, help="List and show statements; cancel them; get result and bill."
)
Id = Annotated[str, typer.Argument(metavar="ID", help="As in stm_….", show_default=False)]


@app.command("list")
def list_(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="queued, running, finished, failed, …")] = None,
    queue: Annotated[str | None, typer.Option(help="Of this queue.")] = None,
    label: Annotated[str | None, typer.Option(help="KEY=VALUE.")] = None,
    since: Annotated[str | None, typer.Option(help="Made at or after, 2026-11-21T09:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Made before.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List statements, the newest first."""
    session = session_of(context)
    found = []
    with session.client() as client:
        filters = {"state": state, "queue": queue, "label": label, "from": since, "to": until}
        for item in client.statements(**filters, limit=min(limit, 100)):
            found.append(item)
            if len(found) == limit:
                break
    if as_json:
        print_json(session.out, found)
        return
    columns = {
        "id": "id",
        "state": "state",
        "statement_type": "type",
        "queue": "queue",
        "engine.name": "engine",
        "created_at": "created",
        "bill": "bill",
        "error.code": "error",
    }
    print_items(session.out, found, columns)


@app.command("show")
def show(context: typer.Context, statement_id: Id, as_json: JsonFlag = False) -> None:
    """Show a statement: state, price, times, error, and its way so far."""
    session = session_of(context)
    with session.client() as client:
        statement = client.statement(statement_id)
    if as_json:
        print_json(session.out, statement.raw)
    else:
        print_statement(session, statement)


@app.command("cancel")
def cancel(
    context: typer.Context,
    statement_id: Id,
    wait: Annotated[bool, typer.Option(help="Return only when it has stopped.")] = True,
) -> None:
    """Cancel a statement; `cancelled` is said only when its work has stopped."""
    session = session_of(context)
    with session.client() as client:
        statement = client.cancel(statement_id)
        if wait:
            statement = client.wait(statement)
    session.say(f"{statement.id} is {statement.state}")


@app.command("result")
def result(
    context: typer.Context,
    statement_id: Id,
    output: Annotated[
        Form | None, typer.Option("--output", help="Form; else as the file's name says.")
    ] = None,
    path: Annotated[Path | None, typer.Option("-o", "--file", help="Write into this file.")] = None,
) -> None:
    """Get the rows of a finished statement again, until they expire."""
    session = session_of(context)
    form = choose_form(output, path)
    with session.client() as client:
        statement = finished(client.statement(statement_id))
        deliver(session, client, statement, form=form, path=path)


@app.command("bill")
def bill(context: typer.Context, statement_id: Id, as_json: JsonFlag = False) -> None:
    """Show what a statement costs, line by line."""
    session = session_of(context)
    with session.client() as client:
        body = client.bill(statement_id)
    if as_json:
        print_json(session.out, body)
        return
    columns = {"meter": "meter", "quantity": "quantity", "unit": "unit", "price": "price"}
    columns |= {"per": "per", "effective_from": "price since"}
    print_items(session.out, body.get("lines") or [], columns | {"amount": "amount"})
    session.out.print()
    total = {name: body.get(name) for name in ("amount", "currency")}
    quoted, state = body.get("quoted"), body.get("state")
    print_facts(session.out, {"quoted": quoted, "total": total, "state": state})


def print_statement(session: Session, statement: Statement) -> None:
    """All that people ask about one statement."""
    timings = ", ".join(f"{name} {value:,.1f}" for name, value in statement.timings_ms.items())
    engine = statement.raw.get("engine") or {}
    print_facts(
        session.out,
        {
            "statement": statement.id,
            "type": statement.statement_type,
            "state": statement.state,
            "waits": statement.wait,
            "queue": statement.queue,
            "database": statement.database,
            "engine": statement.engine,
            "image": engine.get("image"),
            "canary": engine.get("canary"),
            "created": statement.created_at,
            "ended": statement.ended_at,
            "milliseconds": timings or None,
        }
        | estimate_facts(statement)
        | {
            "billed": str(statement.bill) if statement.bill else None,
            "result": f"{statement.result.rows:,} rows, {size(statement.result.bytes)}"
            if statement.result
            else None,
            "expires": statement.result.expires_at if statement.result else None,
        },
    )
    if statement.estimate and statement.estimate.tables:
        session.out.print()
        tables_read(session.out, statement.estimate)
    if history := statement.raw.get("history"):
        session.out.print()
        print_items(session.out, history, {"at": "at", "state": "state", "event": "event"})
    if statement.error:
        print_problem(session.err, statement.error, sql=statement.raw.get("sql"))
