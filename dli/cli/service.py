"""From a command line to a running service: the one place where the CLI is not a client."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Sequence
from pathlib import Path

import typer


def start(
    context: typer.Context,
    *,
    roles: str,
    port: int | None,
    host: str | None,
    allow_paths: Sequence[Path] | None,
    home: Path | None,
) -> None:
    """Run the service in this process until it is told to stop.

    The service is imported by name and only now: it takes longer to load than most commands run.
    """
    # Arrow's own pool keeps what large results took, and is no faster at their sizes. It is chosen
    # when Arrow is loaded.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    gc.disable()  # what is loaded stays: walking it again and again is a tenth of a start
    given = {"port": port, "host": host, "home": home}
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if allow_paths:
        changes["allow_paths"] = tuple(path.expanduser().resolve() for path in allow_paths)
    settings = importlib.import_module("dli.settings").load(**changes)
    raise typer.Exit(importlib.import_module("dli.processes").run(settings, roles=roles) or 0)
