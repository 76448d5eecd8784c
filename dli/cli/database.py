"""``dli database``: namespaces of tables."""

from __future__ import annotations

from typing import Annotated

import typer

from dli.cli.output import print_list
from dli.cli.session import JsonFlag, session_of

app = typer.Typer(no_args_is_help=True, help="Create, list and drop databases.")

_COLUMNS = {"name": "database", "comment": "comment", "created_at": "created"}


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Letters, digits and underscores.")],
    comment: Annotated[str | None, typer.Option(help="What it is for.")] = None,
) -> None:
    """Create a database. Example: `dli database create sales`"""
    session = session_of(context)
    session.client.create_database(name, comment=comment)
    session.say(f"database {name.lower()} created")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the databases of the project."""
    session = session_of(context)
    print_list(session, session.client.databases(), _COLUMNS, as_json=as_json)


@app.command("drop")
def drop(
    context: typer.Context,
    name: str,
    cascade: Annotated[bool, typer.Option(help="Drop its tables with it.")] = False,
) -> None:
    """Drop a database; refused while tables are in it, unless --cascade.

    The database `default` stays: names without a database mean it.
    """
    session = session_of(context)
    session.client.drop_database(name, cascade=cascade)
    session.say(f"database {name.lower()} dropped")
