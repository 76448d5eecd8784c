"""``dli token``: who may ask."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from dli.cli.output import print_list, print_text
from dli.cli.session import JsonFlag, session_of

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke tokens.")

_COLUMNS = {"id": "id", "name": "name", "user": "user", "role": "role", "created_at": "created"}
_COLUMNS |= {"expires_at": "expires", "last_used_at": "last used", "revoked_at": "revoked"}


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
    made = session.client.create_token(name=name, role=role.value, user=user, expires_in=expires_in)
    print_text(session.out, made["token"])


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List tokens: whose they are, not what they are."""
    session = session_of(context)
    print_list(session, session.client.tokens(), _COLUMNS, as_json=as_json)


@app.command("revoke")
def revoke(context: typer.Context, token_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Make a token worthless, at once and for good."""
    session = session_of(context)
    session.client.revoke_token(token_id)
    session.say(f"token {token_id} revoked")
