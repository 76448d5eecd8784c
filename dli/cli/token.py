"""``dli token``: who may ask."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from dli.cli.output import print_items, print_json
from dli.cli.session import JsonFlag, session_of

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke tokens.")


class Role(StrEnum):
    """What the bearer may do: admins manage, writers change tables, readers query."""

    ADMIN = "admin"
    WRITER = "writer"
    READER = "reader"


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What or whom it is for.")],
    role: Annotated[Role, typer.Option(help="What its bearer may do.")] = Role.READER,
    user: Annotated[str | None, typer.Option(help="Whose; else yours.")] = None,
    expires_in: Annotated[str | None, typer.Option(help="Valid for so long, as 30d.")] = None,
) -> None:
    """Create a token and print it, once: only its hash is kept.

    Example: `DLI_TOKEN=$(dli token create dashboard --role reader)`
    """
    session = session_of(context)
    with session.client() as client:
        made = client.create_token(name=name, role=role.value, user=user, expires_in=expires_in)
    session.out.print(made["token"], markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List tokens: whose they are, not what they are."""
    session = session_of(context)
    with session.client() as client:
        items = client.tokens()
    if as_json:
        print_json(session.out, items)
        return
    columns = {
        "id": "id",
        "name": "name",
        "user": "user",
        "role": "role",
        "created_at": "created",
        "expires_at": "expires",
        "last_used_at": "last used",
        "revoked_at": "revoked",
    }
    print_items(session.out, items, columns)


@app.command("revoke")
def revoke(context: typer.Context, token_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Make a token worthless, at once and for good."""
    session = session_of(context)
    with session.client() as client:
        client.revoke_token(token_id)
    session.say(f"token {token_id} revoked")
