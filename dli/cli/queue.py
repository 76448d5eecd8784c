"""``dli queue``: where statements wait, and what they may use."""

from __future__ import annotations

from typing import Annotated

import typer

from dli.cli.output import print_items, print_json
from dli.cli.parameters import parse_labels
from dli.cli.session import JsonFlag, UsageError, session_of
from storage.base.errors import InvalidInputError
from storage.base.quantities import parse_size

app = typer.Typer(no_args_is_help=True, help="Create, list, update and delete queues.")

Engine = Annotated[str | None, typer.Option(help="Engine of those who name none: sail or spark.")]
MaxRunning = Annotated[int | None, typer.Option(min=1, help="Statements that run at once.")]
MaxWaiting = Annotated[int | None, typer.Option(min=0, help="Statements that may wait.")]
MaxCu = Annotated[int | None, typer.Option(min=1, help="Compute units of its engines at once.")]
Timeout = Annotated[str | None, typer.Option(help="Longest time of a statement, as 10m.")]
MaxBytes = Annotated[str | None, typer.Option(help="Most bytes a statement may process.")]
MaxCost = Annotated[str | None, typer.Option(help="Highest price of a statement, as 0.50.")]
Guard = Annotated[list[str] | None, typer.Option(help="RULE=off, warn or refuse; repeatable.")]
PriceClass = Annotated[str | None, typer.Option(help="Whose prices of the list apply.")]


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the queues of the project with their limits."""
    session = session_of(context)
    with session.client() as client:
        items = client.queues()
    if as_json:
        print_json(session.out, items)
        return
    columns = {
        "name": "queue",
        "default_engine": "engine",
        "max_running": "max running",
        "max_waiting": "max waiting",
        "max_cu": "max CU",
        "timeout": "timeout",
        "guard_levels": "guard",
        "max_bytes": "max bytes",
        "max_cost": "max cost",
        "price_class": "price class",
    }
    print_items(session.out, items, columns)


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    engine: Engine = None,
    max_running: MaxRunning = None,
    max_waiting: MaxWaiting = None,
    max_cu: MaxCu = None,
    timeout: Timeout = None,
    max_bytes: MaxBytes = None,
    max_cost: MaxCost = None,
    guard: Guard = None,
    price_class: PriceClass = None,
) -> None:
    """Create a queue. Example: `dli queue create nightly --engine spark --max-running 2`"""
    session = session_of(context)
    with session.client() as client:
        client.create_queue(
            name,
            default_engine=engine,
            max_running=max_running,
            max_waiting=max_waiting,
            max_cu=max_cu,
            timeout=timeout,
            max_bytes=_bytes(max_bytes),
            max_cost=max_cost,
            guard_levels=parse_labels(guard or (), "--guard"),
            price_class=price_class,
        )
    session.say(f"queue {name} created")


@app.command("update")
def update(
    context: typer.Context,
    name: str,
    engine: Engine = None,
    max_running: MaxRunning = None,
    max_waiting: MaxWaiting = None,
    max_cu: MaxCu = None,
    timeout: Timeout = None,
    max_bytes: MaxBytes = None,
    max_cost: MaxCost = None,
    guard: Guard = None,
    price_class: PriceClass = None,
) -> None:
    """Change limits of a queue; what is not named stays."""
    session = session_of(context)
    changes = {
        "default_engine": engine,
        "max_running": max_running,
        "max_waiting": max_waiting,
        "max_cu": max_cu,
        "timeout": timeout,
        "max_bytes": _bytes(max_bytes),
        "max_cost": max_cost,
        "guard_levels": parse_labels(guard or (), "--guard"),
        "price_class": price_class,
    }
    if all(value is None for value in changes.values()):
        raise UsageError("nothing to change: name a limit, as --max-running 4")
    with session.client() as client:
        client.update_queue(name, **changes)
    session.say(f"queue {name} updated")


@app.command("delete")
def delete(context: typer.Context, name: str) -> None:
    """Delete a queue that no statement waits in."""
    session = session_of(context)
    with session.client() as client:
        client.delete_queue(name)
    session.say(f"queue {name} deleted")


def _bytes(text: str | None) -> int | None:
    try:
        return None if text is None else parse_size(text)
    except InvalidInputError as error:
        raise UsageError(f"--max-bytes: {error.message}; {error.hint}") from error
