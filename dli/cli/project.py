"""``dli project``: tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from dli.cli.output import print_items, print_json
from dli.cli.session import JsonFlag, session_of

app = typer.Typer(no_args_is_help=True, help="Create and list projects.")


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Lower case letters, digits, - and _.")],
) -> None:
    """Create a project with a queue and a database `default`."""
    session = session_of(context)
    with session.client() as client:
        client.create_project(name)
    session.say(f"project {name} created")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the projects that you may see."""
    session = session_of(context)
    with session.client() as client:
        items = client.projects()
    if as_json:
        print_json(session.out, items)
    else:
        columns = {"id": "id", "name": "project", "role": "role", "created_at": "created"}
        print_items(session.out, items, columns)
