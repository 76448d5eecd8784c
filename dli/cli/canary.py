"""``dli queue canary``: a new image of a queue's engines, tried beside the one that it has."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dli.cli.output import print_facts, print_items, print_json
from dli.cli.session import JsonFlag, UsageError, session_of

app = typer.Typer(no_args_is_help=True, help="Try a new image of a queue's engines beside its own.")

Percent = Annotated[
    int | None, typer.Option(min=0, max=100, help="Per cent of statements that run on it.")
]
Shadow = Annotated[
    int | None,
    typer.Option(min=0, max=100, help="Per cent of other queries repeated there and compared."),
]
MaxErrors = Annotated[
    int | None,
    typer.Option(min=0, max=100, help="Per cent of errors that roll it back; 0: none do."),
]


@app.command("start")
def start(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="QUEUE")],
    image: Annotated[str, typer.Option(help="Image of its engines.")],
    percent: Percent = None,
    shadow: Shadow = None,
    max_errors: MaxErrors = None,
) -> None:
    """Start one. Example: `dli queue canary start default --image dli:2 --percent 10`"""
    session = session_of(context)
    fields = _fields(percent=percent, shadow=shadow, max_errors=max_errors)
    with session.client() as client:
        made = client.start_canary(name, image=image, **fields)
    session.say(f"queue {name}: {made['percent']} % of statements run on {image}")


@app.command("set")
def set_(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="QUEUE")],
    percent: Percent = None,
    shadow: Shadow = None,
    max_errors: MaxErrors = None,
) -> None:
    """Change its shares; a higher one takes no statement back that the canary had."""
    fields = _fields(percent=percent, shadow=shadow, max_errors=max_errors)
    if not fields:
        raise UsageError("nothing to change: name a share, as --percent 50")
    session = session_of(context)
    with session.client() as client:
        made = client.change_canary(name, **fields)
    session.say(f"queue {name}: {made['percent']} % run on the canary, {made['shadow']} % compared")


@app.command("show")
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="QUEUE")],
    as_json: JsonFlag = False,
) -> None:
    """Tell what is known of it: errors, answers that differ, time and cost by the queue's own."""
    session = session_of(context)
    with session.client() as client:
        canary = client.canary(name)
    if as_json:
        print_json(session.out, canary)
        return
    print_facts(session.out, _head(canary))
    session.out.print()
    print_facts(session.out, _figures(canary["figures"]))
    if canary["worst"]:
        session.out.print()
        columns = {
            "statement": "statement",
            "outcome": "outcome",
            "code": "error",
            "stable_rows": "rows",
            "canary_rows": "rows there",
        }
        print_items(session.out, canary["worst"], columns)


@app.command("promote")
def promote(context: typer.Context, name: Annotated[str, typer.Argument(metavar="QUEUE")]) -> None:
    """Make its image the queue's own, as a new version of the queue."""
    session = session_of(context)
    with session.client() as client:
        ended = client.promote_canary(name)
    session.say(f"queue {name} runs on {ended['image']}")


@app.command("rollback")
def rollback(context: typer.Context, name: Annotated[str, typer.Argument(metavar="QUEUE")]) -> None:
    """End it; statements that run on it run to their end."""
    session = session_of(context)
    with session.client() as client:
        ended = client.roll_back_canary(name)
    session.say(f"queue {name} runs on {ended['replaces'] or 'the image of the service'} again")


@app.command("history")
def history(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="QUEUE")],
    as_json: JsonFlag = False,
) -> None:
    """List all that the queue had, with how each ended and its figures then."""
    session = session_of(context)
    with session.client() as client:
        items = client.canaries(name)
    if as_json:
        print_json(session.out, items)
        return
    columns = {
        "image": "image",
        "state": "state",
        "ended_for": "for",
        "started_at": "started",
        "ended_at": "ended",
        "figures.errors": "errors",
        "figures.shadow.different": "different",
        "figures.ratios.time_p50": "time p50",
        "figures.ratios.cost": "cost",
    }
    print_items(session.out, items, columns)


def _fields(*, percent: int | None, shadow: int | None, max_errors: int | None) -> dict[str, Any]:
    """What was given, by the names of the API."""
    given: dict[str, Any] = {"percent": percent, "shadow": shadow}
    fields = {key: value for key, value in given.items() if value is not None}
    return fields if max_errors is None else fields | {"max_errors": max_errors or None}


def _head(canary: dict[str, Any]) -> dict[str, object]:
    told = {name: canary[name] for name in ("image", "replaces", "state", "started_at")}
    shares = {name: f"{canary[name]} %" for name in ("percent", "shadow")}
    bound = canary["max_errors"]
    return told | shares | {"max errors": None if bound is None else f"{bound} %"}


def _figures(figures: dict[str, Any]) -> dict[str, object]:
    split, shadow, ratios = figures["split"], figures["shadow"], figures["ratios"]
    return {
        "ran there": split,
        "repeated there": shadow,
        "errors": f"{figures['errors']} ({figures['error_percent']:g} %)",
        "time p50, p95": None
        if ratios["time_p50"] is None
        else f"{ratios['time_p50']:g}, {ratios['time_p95']:g} of the queue's own",
        "repeats took": f"{figures['shadow_cu_ms'] / 1000:g} CU seconds",
        "cost": None if ratios["cost"] is None else f"{ratios['cost']:g} of the queue's own",
    }
