"""``dli statement``: what was asked for, and what became of it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from dli.cli.complaints import print_problem
from dli.cli.job import STEPS
from dli.cli.options import Limit, OfLabel, OfQueue, Since, State, Until, Wait
from dli.cli.output import (
    print_answer,
    print_facts,
    print_items,
    print_json,
    print_list,
    size,
)
from dli.cli.parameters import between
from dli.cli.results import Form, choose_form, deliver
from dli.cli.session import JsonFlag, Session, session_of
from dli.cli.summary import estimate_facts, tables_read
from dli.remote.statement import Statement, finished

app = typer.Typer(
    no_args_is_help=True, help="List and show statements; cancel them; get result and bill."
)
Id = Annotated[str, typer.Argument(metavar="ID", help="As in stm_….", show_default=False)]

_COLUMNS = {"id": "id", "state": "state", "statement_type": "type", "queue": "queue"}
_COLUMNS |= {"engine.name": "engine", "created_at": "created", "bill": "bill"}
_COLUMNS |= {"error.code": "error"}
_LINES = {"meter": "meter", "quantity": "quantity", "unit": "unit", "price": "price"}
_LINES |= {"per": "per", "effective_from": "price since", "amount": "amount"}


@app.command("list")
def list_(
    context: typer.Context,
    state: State = None,
    queue: OfQueue = None,
    label: OfLabel = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: JsonFlag = False,
) -> None:
    """List statements, the newest first."""
    session = session_of(context)
    filters = {"state": state, "queue": queue, "label": label, **between(since, until)}
    found = islice(session.client.statements(**filters, limit=min(limit, 100)), limit)
    print_list(session, list(found), _COLUMNS, as_json=as_json)


@app.command("show")
def show(context: typer.Context, statement_id: Id, as_json: JsonFlag = False) -> None:
    """Show a statement: state, price, times, error, and its way so far."""
    session = session_of(context)
    statement = session.client.statement(statement_id)
    if as_json:
        print_json(session.out, statement.raw)
    else:
        print_statement(session, statement)


@app.command("cancel")
def cancel(
    context: typer.Context,
    statement_id: Id,
    wait: Wait = True,
) -> None:
    """Cancel a statement; `cancelled` is said only when its work has stopped."""
    session = session_of(context)
    statement = session.client.cancel(statement_id)
    if wait:
        statement = session.client.wait(statement)
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
    statement = finished(session.client.statement(statement_id))
    deliver(session, statement, form=form, path=path)


@app.command("bill")
def bill(context: typer.Context, statement_id: Id, as_json: JsonFlag = False) -> None:
    """Show what a statement costs, line by line."""
    session = session_of(context)
    print_answer(session, session.client.bill(statement_id), _print_bill, as_json=as_json)


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
        print_items(session.out, history, STEPS)
    if statement.error:
        print_problem(session.err, statement.error, sql=statement.raw.get("sql"))


def _print_bill(session: Session, bill: dict[str, Any]) -> None:
    print_items(session.out, bill.get("lines") or [], _LINES)
    session.out.print()
    total = {name: bill.get(name) for name in ("amount", "currency")}
    quoted, state = bill.get("quoted"), bill.get("state")
    print_facts(session.out, {"quoted": quoted, "total": total, "state": state})
