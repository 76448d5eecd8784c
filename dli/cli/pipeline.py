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
from dli.cli.output import print_facts, print_items, print_json, told
from dli.cli.parameters import parse_labels, parse_parameters
from dli.cli.session import JsonFlag, Session, UsageError, session_of
from dli.client import Client

app = typer.Typer(no_args_is_help=True, help="Plans of jobs: apply, compare, run, backfill.")

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
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
Labels = Annotated[list[str] | None, typer.Option("--label", help="KEY=VALUE; repeatable.")]
MaxCost = Annotated[str | None, typer.Option(help="Most money of all jobs together, as 0.50.")]
Revision = Annotated[int | None, typer.Option(min=1, help="Else the one in force.")]

_BACKFILL = "pbf_"
_POLL = 1.0  # seconds
_RUNS = {"id": "run", "state": "state", "revision": "revision", "created_at": "created"}
_NODES = {"name": "node", "state": "state", "job": "job", "attempt": "attempt"}
_NODES |= {"outputs.rows": "rows", "outputs.value.value": "value", "why": "why"}
_PLAN = {"name": "node", "kind": "kind", "after": "after", "price": "price", "unpriced": "no price"}
_DAYS = {"day": "day", "state": "state", "run": "run", "spent": "spent", "reason": "why"}


@app.command("apply")
def apply(
    context: typer.Context,
    file: File,
    param: Params = None,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
) -> None:
    """Put a file in force: a new revision if it changes anything.

    With `--dry-run`: what would change, and what a run would do and cost.
    """
    session = session_of(context)
    text = read_document(file)
    name = text.get("name")
    if not isinstance(name, str):
        raise UsageError(f"{file}: name is missing")
    with session.client() as client:
        if dry_run:
            body = {"pipeline": text, "parameters": parse_parameters(param or ()) or {}}
            _print_plan(session, client.pipelines.plan(name, **body), as_json)
            return
        made = client.pipelines.apply(name, text)
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
    with session.client() as client:
        items = client.pipelines.every()
    if as_json:
        print_json(session.out, items)
        return
    columns = {"name": "pipeline", "revision": "revision", "nodes": "nodes", "at": "since"}
    print_items(session.out, items, columns | {"description": "description"})


@app.command("show")
def show(
    context: typer.Context, name: Name, revision: Revision = None, as_json: JsonFlag = False
) -> None:
    """Show a pipeline: its nodes in order, and why each waits for others."""
    session = session_of(context)
    with session.client() as client:
        found = client.pipelines.get(name, revision=revision)
        older = client.pipelines.revisions(name)
    if as_json:
        print_json(session.out, found)
        return
    text = found["pipeline"]
    facts = {"pipeline": name, "revision": found["revision"], "of": len(older), "at": found["at"]}
    facts |= {each: text.get(each) for each in ("description", "queue", "max_cost", "timeout")}
    print_facts(session.out, facts | {"parallel": text["parallel"]})
    session.out.print()
    for parameter, told_ in (text.get("parameters") or {}).items():
        session.out.print(f"{parameter}: {told(told_)}", markup=False, soft_wrap=True)
    nodes = [
        {
            **text["nodes"][node],
            "name": node,
            "after": _reasons(edge for edge in found["edges"] if edge["after"] == node),
        }
        for node in found["order"]
    ]
    columns = {"name": "node", "kind": "kind", "after": "after", "when": "when"}
    print_items(session.out, nodes, columns | {"on_failure": "on failure", "retry": "retry"})


@app.command("revisions")
def revisions(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """List the revisions of a pipeline, the newest first."""
    session = session_of(context)
    with session.client() as client:
        items = client.pipelines.revisions(name)
    if as_json:
        print_json(session.out, items)
        return
    columns = {"revision": "revision", "at": "at", "author": "author", "nodes": "nodes"}
    print_items(session.out, items, columns | {"rolled_back_to": "repeats", "hash": "hash"})


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
    with session.client() as client:
        if file is not None:
            text = read_document(file)
            found = client.pipelines.diff_text(name, text, revision=before)
        else:
            found = client.pipelines.diff(name, before=before, after=after)
    if as_json:
        print_json(session.out, found)
    else:
        _print_diff(session, found)


@app.command("rollback")
def rollback(
    context: typer.Context,
    name: Name,
    revision: Annotated[int, typer.Argument(min=1, show_default=False)],
) -> None:
    """Make a new revision that equals an old one."""
    session = session_of(context)
    with session.client() as client:
        made = client.pipelines.roll_back(name, revision)
    session.say(f"pipeline {name} is at revision {made['revision']}, which equals {revision}")


@app.command("delete")
def delete(context: typer.Context, name: Name) -> None:
    """Take a pipeline out of force; its revisions and runs stay."""
    session = session_of(context)
    with session.client() as client:
        client.pipelines.delete(name)
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
    parameters = parse_parameters(param or ()) or {}
    with session.client() as client:
        if dry_run:
            plan = client.pipelines.plan(name, parameters=parameters, revision=revision)
            _print_plan(session, plan, as_json)
            return Exit.DONE
        fields = {"revision": revision, "queue": queue, "max_cost": max_cost, "timeout": timeout}
        made = client.pipelines.run(
            name, parameters=parameters, labels=parse_labels(label or ()), **fields
        )
        return _followed(session, client, made, wait=wait, as_json=as_json)


@app.command("runs")
def runs(
    context: typer.Context,
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List the runs of a pipeline, the newest first."""
    session = session_of(context)
    with session.client() as client:
        found = list(islice(client.pipelines.runs(name, limit=min(limit, 100)), limit))
    if as_json:
        print_json(session.out, found)
    else:
        print_items(session.out, found, _RUNS | {"ended_at": "ended", "error.message": "error"})


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
    body: dict[str, Any] = {"from": first, "to": last, "max_cost": max_cost, "parallel": parallel}
    body |= {"parameter": parameter, "parameters": parse_parameters(param or ())}
    with session.client() as client:
        made = client.pipelines.start_backfill(name, **body)
        return _watched(session, client, made, wait=wait, as_json=as_json)


@app.command("backfills")
def backfills(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """List the backfills of a pipeline, the newest first."""
    session = session_of(context)
    with session.client() as client:
        found = client.pipelines.backfills(name)
    if as_json:
        print_json(session.out, found)
        return
    columns = {"id": "backfill", "state": "state", "from": "from", "to": "to", "counts": "days"}
    print_items(session.out, found, columns | {"max_cost": "cap", "reason": "why"})


@app.command("status")
def status(context: typer.Context, which: Id, as_json: JsonFlag = False) -> None:
    """Show the nodes of a run, or the days of a backfill."""
    session = session_of(context)
    with session.client() as client:
        if which.startswith(_BACKFILL):
            _print_backfill(session, client.pipelines.backfill(which), as_json)
        else:
            _print_run(session, client.pipelines.run_status(which), as_json)


@app.command("cancel")
def cancel(context: typer.Context, which: Id) -> None:
    """Cancel a run or a backfill with all its jobs; returns when they have stopped."""
    session = session_of(context)
    with session.client() as client:
        if which.startswith(_BACKFILL):
            found = _end_of_backfill(client, client.pipelines.cancel_backfill(which))
        else:
            found = client.wait_job(client.cancel_job(which))
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
    with session.client() as client:
        if which.startswith(_BACKFILL):
            made = client.pipelines.resume_backfill(which, max_cost=max_cost)
            return _watched(session, client, made, wait=wait, as_json=as_json)
        made = client.pipelines.resume(which, max_cost=max_cost)
        return _followed(session, client, made, wait=wait, as_json=as_json)


@app.command("schema")
def schema(context: typer.Context) -> None:
    """Print the JSON Schema of a pipeline file."""
    session = session_of(context)
    with session.client() as client:
        print_json(session.out, client.pipelines.schema())


def _followed(
    session: Session, client: Client, made: dict[str, Any], *, wait: bool, as_json: bool
) -> int:
    """Tell of a run that was started; its exit code if its end is waited for."""
    session.say(f"run {made['id']} is {made['state']}")
    if wait:
        made = client.wait_job(made)
    if wait or as_json:
        _print_run(session, client.pipelines.run_status(made["id"]), as_json)
    return end_of(session, made) if wait else Exit.DONE


def _watched(
    session: Session, client: Client, made: dict[str, Any], *, wait: bool, as_json: bool
) -> int:
    """Tell of a backfill that was started; its exit code if its end is waited for."""
    session.say(f"backfill {made['id']} is {made['state']}")
    if wait:
        made = _end_of_backfill(client, made)
    if wait or as_json:
        _print_backfill(session, made, as_json)
    if not wait or made["state"] == "finished":
        return Exit.DONE
    print_error(session.err, made["reason"] or f"the backfill is {made['state']}")
    return Exit.CANCELLED if made["state"] == "cancelled" else Exit.FAILED


def _end_of_backfill(client: Client, made: dict[str, Any]) -> dict[str, Any]:
    pause = threading.Event()
    while made["ended_at"] is None:
        pause.wait(_POLL)
        made = client.pipelines.backfill(made["id"])
    return made


def _print_run(session: Session, found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(session.out, found)
        return
    facts = {name: found.get(name) for name in ("id", "name", "revision", "state", "cost")}
    print_facts(session.out, facts)
    session.out.print()
    nodes = [{**node, "why": _why(node)} for node in found["nodes"]]
    print_items(session.out, nodes, _NODES)


def _why(node: dict[str, Any]) -> str | None:
    """Why it failed, does not run yet, or never will."""
    for field, part in (("error", "message"), ("wait", "detail")):
        if node.get(field):
            return str(node[field][part])
    reason: str | None = node["reason"]
    return reason


def _print_backfill(session: Session, found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(session.out, found)
        return
    names = ("id", "pipeline", "revision", "state", "counts", "max_cost", "spent", "reason")
    print_facts(session.out, {name: found[name] for name in names})
    session.out.print()
    print_items(session.out, found["days"], _DAYS)


def _print_plan(session: Session, plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(session.out, plan)
        return
    nodes = [{**node, "after": _reasons(node["after"])} for node in plan["nodes"]]
    print_items(session.out, nodes, _PLAN | {"when": "when"})
    session.out.print()
    least = "" if plan["complete"] else "at least "
    facts = {"price": f"{least}{told(plan['price'])}", "cap": plan["max_cost"]}
    print_facts(session.out, facts)


def _print_diff(session: Session, found: dict[str, Any]) -> None:
    if found["same"]:
        session.out.print("no difference")
    lines = [f"+ node {name}" for name in found["added"]]
    lines += [f"- node {name}" for name in found["removed"]]
    lines += [_change(name, change) for name, change in found["fields"].items()]
    for node, fields in found["changed"].items():
        lines += [_change(f"{node}.{name}", change) for name, change in fields.items()]
    for line in lines:
        session.out.print(line, markup=False, highlight=False, soft_wrap=True)


def _change(name: str, change: dict[str, Any]) -> str:
    before, after = (told(change[side]) or "nothing" for side in ("before", "after"))
    return f"~ {name}: {before} -> {after}"


def _reasons(edges: Any) -> str:
    return ", ".join(f"{edge['before']} ({edge['reason']})" for edge in edges)
