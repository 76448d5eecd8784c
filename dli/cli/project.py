"""``dli project``: tenants."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dli.cli.output import print_answer, print_items, print_list
from dli.cli.session import JsonFlag, Session, session_of
from dli.cli.token import Role

app = typer.Typer(no_args_is_help=True, help="Create and list projects, and who works in them.")
member = typer.Typer(no_args_is_help=True, help="List, set and remove members of a project.")
app.add_typer(member, name="member")
credentials = typer.Typer(
    no_args_is_help=True, help="Say who the pods of a project are at the object store."
)
app.add_typer(credentials, name="credentials")

_PROJECTS = {"name": "project", "role": "role", "description": "description"}
_PROJECTS |= {"created_at": "created"}
_CREDENTIALS = {"project": "project", "secret": "secret", "access_key": "access key"}
_CREDENTIALS |= {"secret_key": "secret key", "service_account": "service account"}
_CREDENTIALS |= {"in_force": "in force"}


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Lower case letters, digits, - and _.")],
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
) -> None:
    """Create a project with a queue and a database `default`."""
    session = session_of(context)
    session.client.create_project(name, description=description)
    session.say(f"project {name} created")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the projects that you may see."""
    session = session_of(context)
    print_list(session, session.client.projects(), _PROJECTS, as_json=as_json)


@member.command("list")
def list_members(context: typer.Context, project: str, as_json: JsonFlag = False) -> None:
    """List who has which role in a project."""
    session = session_of(context)
    columns = {"user": "user", "role": "role"}
    print_list(session, session.client.members(project), columns, as_json=as_json)


@member.command("set")
def set_member(
    context: typer.Context,
    project: str,
    user: Annotated[str, typer.Argument(help="A name that is new makes a new user.")],
    role: Annotated[Role, typer.Option(help="What the user may do there.")] = Role.READER,
) -> None:
    """Give a user a role in a project. Example: `dli project member set sales ann --role writer`"""
    session = session_of(context)
    session.client.set_member(project, user, role.value)
    session.say(f"{user} is {role.value} of {project}")


@member.command("remove")
def remove_member(context: typer.Context, project: str, user: str) -> None:
    """Take a user's role away; their tokens open the project no longer."""
    session = session_of(context)
    session.client.remove_member(project, user)
    session.say(f"{user} has no role in {project} any more")


@credentials.command("set")
def set_credentials(
    context: typer.Context,
    project: str,
    secret: Annotated[
        str | None, typer.Option(help="Name of a Secret in the namespace of runs.")
    ] = None,
    access_key: Annotated[
        str, typer.Option(help="Which of its keys is the access key: a name, not a value.")
    ] = "access-key",
    secret_key: Annotated[
        str, typer.Option(help="Which of its keys is the secret key, likewise.")
    ] = "secret-key",  # noqa: S107  a name
    service_account: Annotated[
        str | None,
        typer.Option(help="Service account of its pods; its own identity if no Secret is named."),
    ] = None,
) -> None:
    """Name the credentials of a project's engines and batches, which are in the cluster.

    Example: `dli project credentials set sales --secret sales-s3`
    """
    session = session_of(context)
    named = None
    if secret is not None:
        named = {"name": secret, "access_key": access_key, "secret_key": secret_key}
    found = session.client.set_credentials(project, secret=named, service_account=service_account)
    session.say(f"{project} has credentials of its own")
    if not found["in_force"]:
        session.say("they are not in force: runs are processes of the service's machine")


@credentials.command("show")
def show_credentials(context: typer.Context, project: str, as_json: JsonFlag = False) -> None:
    """Show the names of a project's credentials; values are known to the cluster only."""
    session = session_of(context)
    print_answer(session, session.client.credentials(project), _print_credentials, as_json=as_json)


@credentials.command("remove")
def remove_credentials(context: typer.Context, project: str) -> None:
    """Let a project use the service's own credentials again, if the settings let it."""
    session = session_of(context)
    session.client.remove_credentials(project)
    session.say(f"{project} has no credentials of its own any more")


def _print_credentials(session: Session, found: dict[str, Any]) -> None:
    secret = found["secret"] or {}
    print_items(session.out, [found | secret | {"secret": secret.get("name")}], _CREDENTIALS)
