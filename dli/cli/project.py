"""``dli project``: tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from dli.cli.output import print_items, print_json
from dli.cli.session import JsonFlag, session_of
from dli.cli.token import Role

app = typer.Typer(no_args_is_help=True, help="Create and list projects, and who works in them.")
member = typer.Typer(no_args_is_help=True, help="List, set and remove members of a project.")
app.add_typer(member, name="member")


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Lower case letters, digits, - and _.")],
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
) -> None:
    """Create a project with a queue and a database `default`."""
    session = session_of(context)
    with session.client() as client:
        client.create_project(name, description=description)
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
        columns = {"name": "project", "role": "role", "description": "description"}
        columns |= {"created_at": "created"}
        print_items(session.out, items, columns)


@member.command("list")
def list_members(context: typer.Context, project: str, as_json: JsonFlag = False) -> None:
    """List who has which role in a project."""
    session = session_of(context)
    with session.client() as client:
        items = client.members(project)
    if as_json:
        print_json(session.out, items)
    else:
        print_items(session.out, items, {"user": "user", "role": "role"})


@member.command("set")
def set_member(
    context: typer.Context,
    project: str,
    user: Annotated[str, typer.Argument(help="A name that is new makes a new user.")],
    role: Annotated[Role, typer.Option(help="What the user may do there.")] = Role.READER,
) -> None:
    """Give a user a role in a project. Example: `dli project member set sales ann --role writer`"""
    session = session_of(context)
    with session.client() as client:
        client.set_member(project, user, role.value)
    session.say(f"{user} is {role.value} of {project}")


@member.command("remove")
def remove_member(context: typer.Context, project: str, user: str) -> None:
    """Take a user's role away; their tokens open the project no longer."""
    session = session_of(context)
    with session.client() as client:
        client.remove_member(project, user)
    session.say(f"{user} has no role in {project} any more")
