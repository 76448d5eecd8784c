"""``dli doctor``: what of this machine would keep the service from working, and what to do."""

from __future__ import annotations

import typer

from dli.cli.complaints import Exit
from dli.cli.session import session_of


def doctor(context: typer.Context) -> int:
    """Check this machine."""
    session_of(context)
    return Exit.DONE
