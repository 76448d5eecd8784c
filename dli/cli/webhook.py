"""``dli webhook``: who is told of jobs that end."""

from __future__ import annotations

from typing import Annotated

import typer

from dli.cli.output import print_items, print_json
from dli.cli.parameters import parse_labels
from dli.cli.schedule import Limit, Name
from dli.cli.session import JsonFlag, session_of

app = typer.Typer(
    no_args_is_help=True, help="Tell other services of jobs that end, by signed requests."
)


@app.command("create")
def create(
    context: typer.Context,
    name: Name,
    url: Annotated[str, typer.Argument(metavar="URL", show_default=False)],
    event: Annotated[
        list[str] | None,
        typer.Option(help="job.finished, job.failed, job.cancelled, firing.failed; repeatable."),
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="Of jobs: statement, batch, …; repeatable.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of the job.")] = None,
) -> None:
    """Subscribe and print the secret that signs the requests, once.

    Example: `dli webhook create alarm https://hooks.example.com/dli --event job.failed`
    """
    session = session_of(context)
    with session.client() as client:
        made = client.create_webhook(
            name, url, events=event, kinds=kind, labels=parse_labels(label or ())
        )
    session.out.print(made["secret"], markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the webhooks of the project, without their secrets."""
    session = session_of(context)
    with session.client() as client:
        items = client.webhooks()
    if as_json:
        print_json(session.out, items)
        return
    columns = {"name": "webhook", "url": "url", "events": "events", "kinds": "kinds"}
    print_items(session.out, items, columns | {"labels": "labels"})


@app.command("deliveries")
def deliveries(
    context: typer.Context, name: Name, limit: Limit = 20, as_json: JsonFlag = False
) -> None:
    """Show what was sent or is to be, the newest first."""
    session = session_of(context)
    with session.client() as client:
        items = client.deliveries(name, limit)
    if as_json:
        print_json(session.out, items)
        return
    columns = {
        "id": "id",
        "event": "event",
        "job": "job",
        "state": "state",
        "attempts": "attempts",
        "status": "status",
        "error.message": "error",
        "next_at": "again at",
    }
    print_items(session.out, items, columns)


@app.command("test")
def test(context: typer.Context, name: Name) -> None:
    """Send a notification of the event `test`."""
    session = session_of(context)
    with session.client() as client:
        made = client.test_webhook(name)
    session.say(f"{made['id']} is on its way; see `dli webhook deliveries {name}`")


@app.command("delete")
def delete(context: typer.Context, name: Name) -> None:
    """Unsubscribe; what was not delivered yet is dropped."""
    session = session_of(context)
    with session.client() as client:
        client.delete_webhook(name)
    session.say(f"webhook {name} deleted")
