"""``dli migrate``: the schema of the metadata database, apart from any start."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from dli.cli.session import session_of


def migrate(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option(help="Where local files are kept [env: DLI_HOME].")
    ] = None,
) -> None:
    """Bring the metadata database to the schema of this version, once for all replicas.

    Those that run go on. Needed only where `DLI_MIGRATE=false`; a start does it by itself else.
    Nothing is done to a later schema that this version runs on; any other one is refused.

    Example: `DLI_DATABASE_URL=postgresql://… dli migrate`
    """
    # The parts of a service take longer to load than the help of all commands.
    from dli.migrations.current import schema_version  # noqa: PLC0415
    from dli.migrations.migrate import upgrade  # noqa: PLC0415
    from dli.settings.loading import load  # noqa: PLC0415
    from storage.meta.database import Database  # noqa: PLC0415

    settings = load(**({"home": home} if home else {}))
    with contextlib.closing(Database(settings.metadata_url)) as database:
        upgrade(database)
        version = schema_version(database)
    session_of(context).out.print(f"the metadata database has the schema {version}")
