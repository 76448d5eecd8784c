"""``dli serve``: one role of the service, for several replicas over one database."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dli.cli.service import start


class Role(StrEnum):
    """What a process does."""

    API = "api"
    WORKER = "worker"
    ALL = "all"


def serve(
    context: typer.Context,
    role: Annotated[
        Role, typer.Option(help="api answers requests, worker runs statements, all does both.")
    ] = Role.ALL,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    allow_path: Annotated[
        list[Path] | None,
        typer.Option(help="A folder whose files may be registered as tables; repeatable."),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where local files are kept [env: DLI_HOME].")
    ] = None,
) -> None:
    """Start one replica of the service with the settings of the environment.

    Replicas share a PostgreSQL database and an object store (`DLI_DATABASE_URL`,
    `DLI_WAREHOUSE`); what one of them leaves undone, another one takes over.

    Example: `dli serve --role worker`
    """
    start(context, roles=role.value, port=port, host=host, allow_paths=allow_path, home=home)
