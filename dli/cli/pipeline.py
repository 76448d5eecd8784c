"""``dli pipeline``: plans of jobs, their runs and backfills."""

from __future__ import annotations

import threading
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from dli.cli.complaints import Exit, print_error
from dli.cli.documents import read_document
from dli.cli.job import end_of
from dli.cli.options import Labels, Limit, Name
from dli.cli.output import print_answer, print_json, print_list
from dli.cli.parameters import (
    checked_amount,
    checked_day,
    checked_span,
    parse_labels,
    parse_parameters,
)
from dli.cli.plans import print_backfill, print_diff, print_pipeline, print_plan, print_run
from dli.cli.session import JsonFlag, Session, UsageError, session_of

app = typer.Typer(no_args_is_help=True, help="Plans of jobs: apply, compare, run, backfill.")

Id = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="Of a run (plr_…) or a backfill (pbf_…).", show_default=False
    ),
]
File = Annotated[
    Path,
    typer.Option(
        "--file", "-f", help="YAML or JSON; `-` reads standard input.", show_default=False
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", help="NAME=VALUE or NAME:TYPE=VALUE; repeatable."),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show order, reasons and prices; change nothing.")
]
MaxCost = Annotated[str | None, typer.Option(help="Most money of all jobs together, as 0.50.")]
Revision = Annotated[int | None, typer.Option(min=1, help="Else the one in force.")]

_BACKFILL = "pbf_"
_POLL = 1.0  # seconds
_PIPELINES = {"name": "pipeline", "revision": "revision", "nodes": "nodes", "at": "since"}
_PIPELINES |= {"description": "description"}
_REVISIONS = {"revision": "revision", "at": "at", "author": "author", "nodes": "nodes"}
_REVISIONS |= {"rolled_back_to": "repeats", "hash": "hash"}
_RUNS = {"id": "run", "state": "state", "revision": "revision", "created_at": "created"}
_RUNS |= {"ended_at": "ended", "error.message": "error"}
_BACKFILLS = {"id": "backfill", "state": "state", "from": "from", "to": "to", "counts": "days"}
_BACKFILLS |= {"max_cost": "cap", "reason": "why"}


@app.command("apply")
def apply(
    context: typer.Context,
    file: File,
    param: Params = None,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
) -> None:
    """Put a file in force: a new revision if it changes anything. The file says its `name`.

    With `--dry-run`: what would change, and what a run would do and cost.
    """
    session = session_of(context)
    text = read_document(file)
    name = text.get("name")
    if not isinstance(name, str):
        raise UsageError(f"{file}: name is missing; begin the file with a line like name: daily")
    if dry_run:
        body = {"pipeline": text, "parameters": parse_parameters(param) or {}}
        plan = session.client.pipelines.plan(name, **body)
        print_answer(session, plan, print_plan, as_json=as_json)
        return
    made = session.client.pipelines.apply(name, text)
    if as_json:
        print_json(session.out, made)
    elif made["new"]:
        session.say(f"pipeline {name} is at revision {made['revision']}")
    else:
        session.say(f"pipeline {name} stays at revision {made['revision']}: nothing has changed")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the pipelines of the project."""
    session = session_of(context)
    print_list(session, session.client.pipelines.every(), _PIPELINES, as_json=as_json)


@app.command("show")
def show(
    context: typer.Context, name: Name, revision: Revision = None, as_json: JsonFlag = False
) -> None:
    """Show a pipeline: its nodes in order, and why each waits for others."""
    session = session_of(context)
    found = session.client.pipelines.get(name, revision=revision)
    older = session.client.pipelines.revisions(name)
    if as_json:
        print_json(session.out, found)
    else:
        print_pipeline(session, found, name=name, revisions=len(older))


@app.command("revisions")
def revisions(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """List the revisions of a pipeline, the newest first."""
    session = session_of(context)
    print_list(session, session.client.pipelines.revisions(name), _REVISIONS, as_json=as_json)


@app.command("diff")
def diff(
    context: typer.Context,
    name: Name,
    before: Annotated[int | None, typer.Argument(min=1, help="A revision.")] = None,
    after: Annotated[int | None, typer.Argument(min=1, help="Another; else the last.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Compare with this file instead.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what changed between two revisions, or what a file would change.

    Without revisions: the last and the one before it, or the file and the one in force.
    """
    session = session_of(context)
    if file is not None:
        text = read_document(file)
        found = session.client.pipelines.diff_text(name, text, revision=before)
    else:
        found = session.client.pipelines.diff(name, before=before, after=after)
    print_answer(session, found, print_diff, as_json=as_json)


@app.command("rollback")
def rollback(
    context: typer.Context,
    name: Name,
    revision: Annotated[int, typer.Argument(min=1, show_default=False)],
) -> None:
    """Make a new revision that equals an old one."""
    session = session_of(context)
    made = session.client.pipelines.roll_back(name, revision)
    session.say(f"pipeline {name} is at revision {made['revision']}, which equals {revision}")


@app.command("delete")
def delete(context: typer.Context, name: Name) -> None:
    """Take a pipeline out of force; its revisions and runs stay."""
    session = session_of(context)
    session.client.pipelines.delete(name)
    session.say(f"pipeline {name} deleted")


@app.command("run")
def run(
    context: typer.Context,
    name: Name,
    param: Params = None,
    revision: Revision = None,
    queue: Annotated[str | None, typer.Option(help="Else the pipeline's.")] = None,
    max_cost: MaxCost = None,
    timeout: Annotated[str | None, typer.Option(help="Of the whole run, as 2h.")] = None,
    label: Labels = None,
    dry_run: DryRun = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """Run a pipeline. Example: `dli pipeline run daily --param day=2026-11-21 --wait`"""
    session = session_of(context)
    parameters = parse_parameters(param) or {}
    if dry_run:
        plan = session.client.pipelines.plan(name, parameters=parameters, revision=revision)
        print_answer(session, plan, print_plan, as_json=as_json)
        return Exit.DONE
    fields = {"revision": revision, "queue": queue, "max_cost": _money(max_cost)}
    fields["timeout"] = checked_span("--timeout", timeout)
    labels = parse_labels(label)
    made = session.client.pipelines.run(name, parameters=parameters, labels=labels, **fields)
    return _followed(session, made, wait=wait, as_json=as_json)


@app.command("runs")
def runs(
    context: typer.Context,
    name: Name,
    limit: Limit = 20,
    as_json: JsonFlag = False,
) -> None:
    """List the runs of a pipeline, the newest first."""
    session = session_of(context)
    found = islice(session.client.pipelines.runs(name, limit=min(limit, 100)), limit)
    print_list(session, list(found), _RUNS, as_json=as_json)


@app.command("backfill")
def backfill(
    context: typer.Context,
    name: Name,
    first: Annotated[str, typer.Option("--from", help="The first day, as 2026-01-01.")],
    last: Annotated[str, typer.Option("--to", help="The last day, included.")],
    max_cost: MaxCost = None,
    parallel: Annotated[int, typer.Option(min=1, max=100, help="Runs at the same time.")] = 1,
    parameter: Annotated[
        str | None, typer.Option(help="Which gets the day, where there are several dates.")
    ] = None,
    param: Params = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """Run a pipeline once for each day, under one cap.

    Example: `dli pipeline backfill daily --from 2026-01-01 --to 2026-01-31 --max-cost 5`
    """
    session = session_of(context)
    days = {"from": checked_day("--from", first), "to": checked_day("--to", last)}
    body: dict[str, Any] = {**days, "parallel": parallel}
    body |= {"max_cost": _money(max_cost)}
    body |= {"parameter": parameter, "parameters": parse_parameters(param)}
    made = session.client.pipelines.start_backfill(name, **body)
    return _watched(session, made, wait=wait, as_json=as_json)


@app.command("backfills")
def backfills(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """List the backfills of a pipeline, the newest first."""
    session = session_of(context)
    print_list(session, session.client.pipelines.backfills(name), _BACKFILLS, as_json=as_json)


@app.command("status")
def status(context: typer.Context, which: Id, as_json: JsonFlag = False) -> None:
    """Show the nodes of a run, or the days of a backfill."""
    session = session_of(context)
    pipelines = session.client.pipelines
    if which.startswith(_BACKFILL):
        print_answer(session, pipelines.backfill(which), print_backfill, as_json=as_json)
    else:
        print_answer(session, pipelines.run_status(which), print_run, as_json=as_json)


@app.command("cancel")
def cancel(context: typer.Context, which: Id) -> None:
    """Cancel a run or a backfill with all its jobs; returns when they have stopped."""
    session = session_of(context)
    if which.startswith(_BACKFILL):
        found = _end_of_backfill(session, session.client.pipelines.cancel_backfill(which))
    else:
        found = session.client.wait_job(session.client.cancel_job(which))
    session.say(f"{which} is {found['state']}")


@app.command("resume")
def resume(
    context: typer.Context,
    which: Id,
    max_cost: MaxCost = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended.")] = False,
    as_json: JsonFlag = False,
) -> int:
    """Go on after a failure or a cancel.

    A run: a new one of the same revision that takes over what succeeded. A backfill: its days that
    did not succeed.
    """
    session = session_of(context)
    cap, pipelines = _money(max_cost), session.client.pipelines
    if which.startswith(_BACKFILL):
        made = pipelines.resume_backfill(which, max_cost=cap)
        return _watched(session, made, wait=wait, as_json=as_json)
    made = pipelines.resume(which, max_cost=cap)
    return _followed(session, made, wait=wait, as_json=as_json)


@app.command("schema")
def schema(context: typer.Context) -> None:
    """Print the JSON Schema of a pipeline file, by which editors tell mistakes in it.

    Example: `dli pipeline schema > pipeline.schema.json`
    """
    session = session_of(context)
    print_json(session.out, session.client.pipelines.schema())


def _money(max_cost: str | None) -> str | None:
    return checked_amount("--max-cost", max_cost)


def _followed(session: Session, made: dict[str, Any], *, wait: bool, as_json: bool) -> int:
    """Tell of a run that was started; its exit code if its end is waited for."""
    session.say(f"run {made['id']} is {made['state']}")
    if wait:
        made = session.client.wait_job(made)
    if wait or as_json:
        status = session.client.pipelines.run_status(made["id"])
        print_answer(session, status, print_run, as_json=as_json)
    return end_of(session, made) if wait else Exit.DONE


def _watched(session: Session, made: dict[str, Any], *, wait: bool, as_json: bool) -> int:
    """Tell of a backfill that was started; its exit code if its end is waited for."""
    session.say(f"backfill {made['id']} is {made['state']}")
    if wait:
        made = _end_of_backfill(session, made)
    if wait or as_json:
        print_answer(session, made, print_backfill, as_json=as_json)
    if not wait or made["state"] == "finished":
        return Exit.DONE
    print_error(session.err, made["reason"] or f"the backfill is {made['state']}")
    return Exit.CANCELLED if made["state"] == "cancelled" else Exit.FAILED


def _end_of_backfill(session: Session, made: dict[str, Any]) -> dict[str, Any]:
    pause = threading.Event()
    while made["ended_at"] is None:
        pause.wait(_POLL)
        made = session.client.pipelines.backfill(made["id"])
    return made
