"""``dli up``: the whole service in one process on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dli.cli.service import start


def up(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    allow_path: Annotated[
        list[Path] | None,
        typer.Option(
            help="A folder whose files may be registered as tables, besides those in the home. "
            "May be given more than once."
        ),
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="Where everything is kept [env: DLI_HOME].")
    ] = None,
) -> None:
    """Start the service on this machine: API, worker and engines in one process.

    It prints its address and where the token of the first user lies. Ctrl-C stops it: running
    statements are given a moment to end, and those that do not are run again at the next start.

    Example: `dli up --port 8420 --allow-path /data`
    """
    start(context, roles="all", port=port, host=host, allow_paths=allow_path, home=home)
