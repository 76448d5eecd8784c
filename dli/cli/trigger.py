"""``dli trigger``: jobs when something happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from dli.cli.documents import JobFile, read_document
from dli.cli.options import Limit, Name
from dli.cli.output import print_answer, print_list, print_text
from dli.cli.parameters import checked_span, parse_labels
from dli.cli.schedule import FIRINGS, print_with_job
from dli.cli.session import JsonFlag, UsageError, session_of

app = typer.Typer(
    no_args_is_help=True,
    help="Submit jobs when a file appears, a signed request comes, or another job ends.",
)

_COLUMNS = {"name": "trigger", "on.type": "on", "on.prefix": "prefix", "hook": "requests go to"}
_COLUMNS |= {"job.kind": "job", "paused": "paused", "polled_at": "looked at"}
_COLUMNS |= {"error.code": "error", "error.message": "why"}


@app.command("create")
def create(
    context: typer.Context,
    name: Name,
    job: JobFile,
    objects: Annotated[
        str | None,
        typer.Option("--object", help="A prefix: each file that appears below it, once."),
    ] = None,
    every: Annotated[str | None, typer.Option(help="How often is looked, as 1m.")] = None,
    existing: Annotated[
        bool, typer.Option("--existing", help="What is there already counts as new.")
    ] = False,
    webhook: Annotated[
        bool, typer.Option("--webhook", help="A signed request; its secret is printed, once.")
    ] = False,
    job_end: Annotated[bool, typer.Option("--job-end", help="A job that ends.")] = False,
    state: Annotated[
        list[str] | None, typer.Option(help="finished, failed, cancelled; repeatable.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="statement, batch, task, pipeline; repeatable.")
    ] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of that job.")] = None,
    job_name: Annotated[
        str | None, typer.Option(help="Name of that batch, task or pipeline.")
    ] = None,
    schedule: Annotated[str | None, typer.Option(help="The schedule that submitted it.")] = None,
) -> None:
    """Create a trigger. Its job runs in your name.

    Examples: `dli trigger create landing --object s3://landing/orders/ --job load.yaml`,
    `dli trigger create hook --webhook --job f.yaml`,
    `dli trigger create after --job-end --schedule nightly --state finished --job f.yaml`
    """
    session = session_of(context)
    if (objects is not None) + webhook + job_end != 1:
        raise UsageError("choose one of --object, --webhook and --job-end")
    of_object = {"--every": every, "--existing": existing or None}
    of_end = {"--state": state, "--kind": kind, "--label": label, "--job-name": job_name}
    of_end |= {"--schedule": schedule}
    on: dict[str, Any] = {"type": "webhook"}
    if objects is not None:
        on = {"type": "object", "prefix": objects, "every": checked_span("--every", every)}
        on |= {"existing": existing}
    else:
        _none_of(of_object, only="--object")
    if job_end:
        on = {"type": "job", "states": state, "kinds": kind, "labels": parse_labels(label)}
        on |= {"name": job_name, "schedule": schedule}
    else:
        _none_of(of_end, only="--job-end")
    on = {field: value for field, value in on.items() if value is not None}
    made = session.client.create_trigger(name, on=on, job=read_document(job))
    session.say(f"trigger {name} created")
    if webhook:
        session.say(f"requests go to {session.access.url}{made['hook']}, signed with this secret:")
        print_text(session.out, made["secret"])


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the triggers of the project."""
    session = session_of(context)
    print_list(session, session.client.triggers(), _COLUMNS, as_json=as_json)


@app.command("show")
def show(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """Show a trigger with its job."""
    session = session_of(context)
    print_answer(session, session.client.trigger(name), print_with_job, as_json=as_json)


@app.command("firings")
def firings(
    context: typer.Context, name: Name, limit: Limit = 20, as_json: JsonFlag = False
) -> None:
    """Show what it fired, the newest first."""
    session = session_of(context)
    print_list(session, session.client.trigger_firings(name, limit), FIRINGS, as_json=as_json)


@app.command("pause")
def pause(context: typer.Context, name: Name) -> None:
    """Submit nothing until it is resumed."""
    session = session_of(context)
    session.client.pause_trigger(name)
    session.say(f"trigger {name} is paused")


@app.command("resume")
def resume(context: typer.Context, name: Name) -> None:
    """Go on; files that appeared in the pause are new."""
    session = session_of(context)
    session.client.resume_trigger(name)
    session.say(f"trigger {name} goes on")


@app.command("delete")
def delete(context: typer.Context, name: Name) -> None:
    """Delete a trigger and its firings; jobs that run go on."""
    session = session_of(context)
    session.client.delete_trigger(name)
    session.say(f"trigger {name} deleted")


def _none_of(options: Mapping[str, object], *, only: str) -> None:
    """Raise ``UsageError`` for the first that was given: it would be of no effect."""
    for option, given in options.items():
        if given is not None:
            raise UsageError(f"{option} has a meaning with {only} only")
