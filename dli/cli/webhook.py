"""``dli webhook``: who is told of jobs that end."""

from __future__ import annotations

from typing import Annotated

import typer

from dli.cli.options import Limit, Name
from dli.cli.output import print_list, print_text
from dli.cli.parameters import parse_labels
from dli.cli.session import JsonFlag, session_of

app = typer.Typer(
    no_args_is_help=True, help="Tell other services of jobs that end, by signed requests."
)

_COLUMNS = {"name": "webhook", "url": "url", "events": "events", "kinds": "kinds"}
_COLUMNS |= {"labels": "labels"}
_DELIVERIES = {"id": "id", "event": "event", "job": "job", "state": "state"}
_DELIVERIES |= {"attempts": "attempts", "status": "status"}
_DELIVERIES |= {"error.message": "error", "next_at": "again at"}


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
    made = session.client.create_webhook(
        name, url, events=event, kinds=kind, labels=parse_labels(label)
    )
    session.say(f"webhook {name} created; its requests are signed with this secret:")
    print_text(session.out, made["secret"])


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the webhooks of the project, without their secrets."""
    session = session_of(context)
    print_list(session, session.client.webhooks(), _COLUMNS, as_json=as_json)


@app.command("deliveries")
def deliveries(
    context: typer.Context, name: Name, limit: Limit = 20, as_json: JsonFlag = False
) -> None:
    """Show what was sent or is to be, the newest first."""
    session = session_of(context)
    print_list(session, session.client.deliveries(name, limit), _DELIVERIES, as_json=as_json)


@app.command("test")
def test(context: typer.Context, name: Name) -> None:
    """Send a notification of the event `test`."""
    session = session_of(context)
    made = session.client.test_webhook(name)
    session.say(f"{made['id']} is on its way; see `dli webhook deliveries {name}`")


@app.command("delete")
def delete(context: typer.Context, name: Name) -> None:
    """Unsubscribe; what was not delivered yet is dropped."""
    session = session_of(context)
    session.client.delete_webhook(name)
    session.say(f"webhook {name} deleted")
