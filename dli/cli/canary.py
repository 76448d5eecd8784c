"""``dli queue canary``: a new image of a queue's engines, tried beside the one that it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dli.cli.bounds import Bound, changes_of, count
from dli.cli.options import grouped
from dli.cli.output import print_answer, print_facts, print_items, print_list
from dli.cli.session import JsonFlag, Session, UsageError, session_of

app = typer.Typer(no_args_is_help=True, help="Try a new image of a queue's engines beside its own.")

QueueName = Annotated[str, typer.Argument(metavar="QUEUE")]

_COLUMNS = {"image": "image", "state": "state", "ended_for": "for"}
_COLUMNS |= {"started_at": "started", "ended_at": "ended", "figures.errors": "errors"}
_COLUMNS |= {"figures.shadow.different": "different"}
_COLUMNS |= {"figures.ratios.time_p50": "time p50", "figures.ratios.cost": "cost"}
_WORST = {"statement": "statement", "outcome": "outcome", "code": "error"}
_WORST |= {"stable_rows": "rows", "canary_rows": "rows there"}


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How much of a queue's work meets the canary."""

    percent: Annotated[
        int | None, typer.Option(min=0, max=100, help="Per cent of statements that run on it.")
    ] = None
    shadow: Annotated[
        int | None,
        typer.Option(min=0, max=100, help="Per cent of other queries repeated there and compared."),
    ] = None
    max_errors: Annotated[
        str | None,
        typer.Option(help="Per cent of errors above which it is rolled back; `none`: never is."),
    ] = None

    def fields(self) -> dict[str, Any]:
        """What was given, by the names of the API."""
        given = {"percent": self.percent, "shadow": self.shadow}
        fields: dict[str, Any] = {key: share for key, share in given.items() if share is not None}
        return fields | changes_of(
            Bound("max_errors", "--max-errors", self.max_errors, count(least=1))
        )


@app.command("start")
@grouped
def start(
    context: typer.Context,
    name: QueueName,
    image: Annotated[str, typer.Option(help="Image of its engines.")],
    shares: Shares,
) -> None:
    """Start one. Example: `dli queue canary start default --image dli:2 --percent 10`"""
    session = session_of(context)
    made = session.client.start_canary(name, image=image, **shares.fields())
    session.say(f"queue {name}: {made['percent']} % of statements run on {image}")


@app.command("set")
@grouped
def set_(context: typer.Context, name: QueueName, shares: Shares) -> None:
    """Change its shares; a higher one takes no statement back that the canary had."""
    fields = shares.fields()
    if not fields:
        raise UsageError("nothing to change: name a share, as --percent 50")
    session = session_of(context)
    made = session.client.change_canary(name, **fields)
    session.say(f"queue {name}: {made['percent']} % run on the canary, {made['shadow']} % compared")


@app.command("show")
def show(context: typer.Context, name: QueueName, as_json: JsonFlag = False) -> None:
    """Tell what is known of it: errors, answers that differ, time and cost by the queue's own."""
    session = session_of(context)
    print_answer(session, session.client.canary(name), _print, as_json=as_json)


@app.command("promote")
def promote(context: typer.Context, name: QueueName) -> None:
    """Make its image the queue's own, as a new version of the queue."""
    session = session_of(context)
    ended = session.client.promote_canary(name)
    session.say(f"queue {name} runs on {ended['image']}")


@app.command("rollback")
def rollback(context: typer.Context, name: QueueName) -> None:
    """End it; statements that run on it run to their end."""
    session = session_of(context)
    ended = session.client.roll_back_canary(name)
    session.say(f"queue {name} runs on {ended['replaces'] or 'the image of the service'} again")


@app.command("history")
def history(context: typer.Context, name: QueueName, as_json: JsonFlag = False) -> None:
    """List all that the queue had, with how each ended and its figures then."""
    session = session_of(context)
    print_list(session, session.client.canaries(name), _COLUMNS, as_json=as_json)


def _print(session: Session, canary: dict[str, Any]) -> None:
    print_facts(session.out, _head(canary))
    session.out.print()
    print_facts(session.out, _figures(canary["figures"]))
    if canary["worst"]:
        session.out.print()
        print_items(session.out, canary["worst"], _WORST)


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
