"""``dli budget``: how much money a project may spend in a month."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from dli.cli.output import print_facts, print_json
from dli.cli.session import JsonFlag, UsageError, session_of

app = typer.Typer(no_args_is_help=True, help="Show and set the project's monthly budget.")


@app.command("show")
def show(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the cap of the month, what is spent, and what is set aside for running statements."""
    session = session_of(context)
    with session.client() as client:
        body = client.budget()
    if as_json:
        print_json(session.out, body)
    else:
        money = {
            name: f"{body['currency']} {body[name]}" if body.get(name) is not None else None
            for name in ("cap", "spent", "reserved", "left")
        }
        if money["cap"] is None:
            money["cap"] = "none"
        print_facts(session.out, {"month": body["month"]} | money)


@app.command("set")
def set_(
    context: typer.Context,
    amount: Annotated[str, typer.Argument(help="Cap of each month, as 25.00; `none` lifts it.")],
    month: Annotated[str, typer.Option(help="Of one month only, as 2026-11.")] = "every",
) -> None:
    """Set the cap of each month. What is already spent counts; running statements go on.

    Example: `dli budget set 25.00`
    """
    if amount != "none" and not re.fullmatch(r"\d+(\.\d{1,9})?", amount):
        raise UsageError(f"{amount!r} is not an amount: write 25.00, or none")
    session = session_of(context)
    with session.client() as client:
        client.set_budget(None if amount == "none" else amount, month=month)
    session.say("no cap" if amount == "none" else f"cap of {month}: {amount}")
