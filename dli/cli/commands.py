"""All commands of ``dli``, and the options that they share."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Annotated

import typer

from dli.cli.session import Session

#: The panel of the help that each command stands in. A command is made by the module of its name:
#: by its ``app`` if it has commands of its own, else by the function that is called as the module.
COMMANDS = {
    "up": "Service",
    "serve": "Service",
    "migrate": "Service",
    "doctor": "Service",
    "status": "Service",
    "sql": "Work",
    "statement": "Work",
    "batch": "Work",
    "task": "Work",
    "job": "Work",
    "history": "Work",
    "pipeline": "Work",
    "schedule": "Work",
    "trigger": "Work",
    "webhook": "Work",
    "database": "Work",
    "table": "Work",
    "usage": "Money",
    "price": "Money",
    "budget": "Money",
    "queue": "Administration",
    "cluster": "Administration",
    "token": "Administration",
    "project": "Administration",
    "runs": "Administration",
    "completion": "Administration",
}


def command_line(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands only: the modules of others are not loaded."""
    app = typer.Typer(
        name="dli",
        no_args_is_help=True,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        help="SQL over your own object storage: priced before it runs, billed to the byte.",
        epilog="Exit codes: 0 done, 1 failed, 2 bad usage, 3 refused (rights, guard, cap), "
        "4 cancelled or timed out.",
    )
    app.callback()(root)
    for name in names:
        module = importlib.import_module(f"dli.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, rich_help_panel=COMMANDS[name])
        else:
            app.command(name, rich_help_panel=COMMANDS[name])(getattr(module, name))
    return app


def root(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Address of the service [env: DLI_URL; else the local one]."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            help="Token; better in DLI_TOKEN or a config file of mode 0600, "
            "as other users may see a command line.",
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option("--project", help="Project to act in [env: DLI_PROJECT; else the token's]."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print data and errors only.")
    ] = False,
) -> None:
    session = Session(url=url, token=token, project=project, quiet=quiet)
    context.obj = context.with_resource(session)
