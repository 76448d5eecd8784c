"""``dli budget``: how much money a project may spend in a month."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dli.cli.bounds import Bound, changes_of
from dli.cli.output import print_answer, print_facts, told
from dli.cli.parameters import checked_amount
from dli.cli.session import JsonFlag, Session, session_of

app = typer.Typer(no_args_is_help=True, help="Show and set the project's monthly budget.")


@app.command("show")
def show(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Show the cap of the month, what is spent, and what is set aside for running statements."""
    session = session_of(context)
    print_answer(session, session.client.budget(), _print, as_json=as_json)


@app.command("set")
def set_(
    context: typer.Context,
    amount: Annotated[str, typer.Argument(help="Cap of each month, as 25.00; `none` lifts it.")],
    month: Annotated[str, typer.Option(help="Of one month only, as 2026-11.")] = "every",
) -> None:
    """Set the cap of each month. What is already spent counts; running statements go on.

    Example: `dli budget set 25.00`
    """
    cap = changes_of(Bound("cap", "AMOUNT", amount, checked_amount))["cap"]
    session = session_of(context)
    session.client.set_budget(None if cap is None else amount, month=month)
    of = "each month" if month == "every" else month
    session.say(f"{of} has no cap" if cap is None else f"cap of {of}: {amount}")


def _print(session: Session, budget: dict[str, Any]) -> None:
    money = {
        name: None
        if budget.get(name) is None
        else told({"amount": budget[name], "currency": budget["currency"]})
        for name in ("cap", "spent", "reserved", "left")
    }
    print_facts(session.out, {"month": budget["month"]} | money | {"cap": money["cap"] or "none"})
