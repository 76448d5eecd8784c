"""The two commands that start a service, alone: what the others need would delay it."""

from __future__ import annotations

import typer

from dli.cli import serve, up

app = typer.Typer(name="dli", pretty_exceptions_enable=False)
app.command("up")(up.up)
app.command("serve")(serve.serve)
