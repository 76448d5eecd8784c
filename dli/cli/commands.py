"""All commands of ``dli``, and the options that they share."""

from __future__ import annotations

from typing import Annotated

import typer

from dli.cli import (
    batch,
    budget,
    cluster,
    completion,
    database,
    doctor,
    history,
    job,
    migrate,
    pipeline,
    price,
    project,
    queue,
    runs,
    schedule,
    serve,
    sql,
    statement,
    status,
    table,
    task,
    token,
    trigger,
    up,
    usage,
    webhook,
)
from dli.cli.session import Session, consoles

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


@app.callback()
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
    project_: Annotated[
        str | None,
        typer.Option("--project", help="Project to act in [env: DLI_PROJECT; else the token's]."),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print data and errors only.")
    ] = False,
) -> None:
    out, err = consoles()
    session = Session(url=url, token=token, project=project_, quiet=quiet, out=out, err=err)
    context.obj = context.with_resource(session)


app.command("up", rich_help_panel="Service")(up.up)
app.command("serve", rich_help_panel="Service")(serve.serve)
app.command("migrate", rich_help_panel="Service")(migrate.migrate)
app.command("doctor", rich_help_panel="Service")(doctor.doctor)
app.command("status", rich_help_panel="Service")(status.status)
app.command("sql", rich_help_panel="Work")(sql.sql)
app.add_typer(statement.app, name="statement", rich_help_panel="Work")
app.add_typer(batch.app, name="batch", rich_help_panel="Work")
app.add_typer(task.app, name="task", rich_help_panel="Work")
app.add_typer(job.app, name="job", rich_help_panel="Work")
app.add_typer(history.app, name="history", rich_help_panel="Work")
app.add_typer(pipeline.app, name="pipeline", rich_help_panel="Work")
app.add_typer(schedule.app, name="schedule", rich_help_panel="Work")
app.add_typer(trigger.app, name="trigger", rich_help_panel="Work")
app.add_typer(webhook.app, name="webhook", rich_help_panel="Work")
app.add_typer(database.app, name="database", rich_help_panel="Work")
app.add_typer(table.app, name="table", rich_help_panel="Work")
app.command("usage", rich_help_panel="Money")(usage.usage)
app.command("price", rich_help_panel="Money")(price.price)
app.add_typer(budget.app, name="budget", rich_help_panel="Money")
app.add_typer(queue.app, name="queue", rich_help_panel="Administration")
app.add_typer(cluster.app, name="cluster", rich_help_panel="Administration")
app.add_typer(token.app, name="token", rich_help_panel="Administration")
app.add_typer(project.app, name="project", rich_help_panel="Administration")
app.add_typer(runs.app, name="runs", rich_help_panel="Administration")
app.command("completion", rich_help_panel="Administration")(completion.completion)
