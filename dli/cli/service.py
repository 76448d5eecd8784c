"""From a command line to a running service: the one place where the CLI is not a client."""

from __future__ import annotations

import gc
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
    """Run the service in this process until it is told to stop."""
    # Arrow's own pool keeps what large results took, and is no faster at their sizes. It is chosen
    # when Arrow is loaded.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    gc.disable()  # what is loaded stays: walking it again and again is a tenth of a start
    from dli import processes  # noqa: PLC0415  for the two lines above
    from dli.settings.loading import load  # noqa: PLC0415

    given = {"port": port, "host": host, "home": home}
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if allow_paths:
        changes["allow_paths"] = tuple(path.expanduser().resolve() for path in allow_paths)
    raise typer.Exit(processes.run(load(**changes), roles=roles) or 0)
