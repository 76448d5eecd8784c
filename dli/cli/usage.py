"""``dli usage``: what was used and what it costs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dli.cli.output import print_items, print_json, print_text, told
from dli.cli.parameters import checked_moment
from dli.cli.session import JsonFlag, Session, session_of


def usage(
    context: typer.Context,
    by: Annotated[
        str,
        typer.Option(
            help="hour, day, month, queue, user, engine, state, project, label:NAME; by commas."
        ),
    ] = "day",
    since: Annotated[str | None, typer.Option("--from", help="From this day or time on.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to, without it.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show usage and money of the project, this month if nothing is said.

    Example: `dli usage --by queue,day --from 2026-11-01`
    """
    session = session_of(context)
    span = {"from": checked_moment("--from", since), "to": checked_moment("--to", until)}
    body = session.client.usage(**span, group_by=by)
    if as_json:
        print_json(session.out, body)
    else:
        _print(session, body, by)


def _print(session: Session, body: dict[str, Any], by: str) -> None:
    groups = [name.strip() for name in by.split(",") if name.strip()]
    columns = {name: name for name in groups} | {
        "statements": "statements",
        "bytes_processed": "bytes processed",
        "cu_milliseconds": "CU ms",
        "amount": "amount",
    }
    items = [
        {**item, "amount": {"amount": item["amount"], "currency": item["currency"]}}
        for item in body["items"]
    ]
    print_items(session.out, items, columns)
    if total := body.get("total"):
        session.out.print()
        print_text(session.out, f"total  {told(total)}")
