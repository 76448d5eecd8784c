"""``dli doctor``: what of this machine would keep the service from working, and what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dli.cli.complaints import Exit
from dli.cli.session import session_of

_MARKS = {True: ("ok  ", "green"), None: ("note", "yellow"), False: ("FAIL", "bold red")}


def doctor(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="The home to look at [env: DLI_HOME].")] = None,
    engines: Annotated[
        bool, typer.Option(help="Also start each engine once, which takes seconds.")
    ] = True,
) -> int:
    """Look at this machine: home and token, database, warehouse, port, engines, leftovers.

    Changes nothing that is kept. Exit code 1 if something would keep the service from working.
    """
    # The parts of a service take longer to load than the help of all commands.
    from dli.cli.checks import run_checks  # noqa: PLC0415
    from dli.settings.loading import load  # noqa: PLC0415

    session = session_of(context)
    settings = load(**({"home": home} if home else {}))
    healthy = True
    for check in run_checks(settings, os.environ, engines=engines):
        mark, style = _MARKS[check.good]
        line = Text(f"{mark}  ", style=style)
        line.append(f"{check.name}: {check.told}", style="not bold default")
        session.out.print(line, soft_wrap=True)
        if check.hint:
            session.out.print(Text(f"      {check.hint}", style="dim"), soft_wrap=True)
        healthy = healthy and check.good is not False
    return Exit.DONE if healthy else Exit.FAILED
