"""``dli migrate``: the schema of the metadata database, apart from any start."""

from __future__ import annotations

import contextlib
import importlib
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
    # By name and only now, as in `dli up`: the parts of a service take long to load.
    settings = importlib.import_module("dli.settings").load(**({"home": home} if home else {}))
    database = importlib.import_module("storage.meta.database").Database(settings.metadata_url)
    with contextlib.closing(database):
        importlib.import_module("dli.migrations.migrate").upgrade(database)
        version = importlib.import_module("dli.migrations.current").schema_version(database)
    session_of(context).out.print(f"the metadata database has the schema {version}")
