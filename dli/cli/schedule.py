"""``dli schedule``: jobs at their times."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dli.cli.documents import JobFile, read_document
from dli.cli.output import print_facts, print_items, print_json
from dli.cli.session import JsonFlag, UsageError, session_of

app = typer.Typer(
    no_args_is_help=True, help="Submit jobs at their times: by cron, at intervals, or once."
)


class Missed(StrEnum):
    """What becomes of due times at which the service was away."""

    SKIP = "skip"
    LATEST = "latest"
    ALL = "all"


class Overlap(StrEnum):
    """What happens while an earlier job has not ended."""

    ALLOW = "allow"
    SKIP = "skip"
    QUEUE = "queue"
    CANCEL_OLD = "cancel_old"


Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False)]
Cron = Annotated[
    str | None, typer.Option(help="Five fields, as `0 3 * * 1-5`, or @daily and the like.")
]
Zone = Annotated[str | None, typer.Option("--tz", help="Time zone, as Europe/Berlin; else UTC.")]
Every = Annotated[str | None, typer.Option(help="At intervals of 1s or more, as 15m.")]
At = Annotated[str | None, typer.Option(help="Once, as 2026-12-24T18:00 on the clocks of --tz.")]
MissedOption = Annotated[
    Missed | None, typer.Option(help="Due times that were missed: skipped, or made up for.")
]
MissedMost = Annotated[
    int | None, typer.Option(min=1, max=1000, help="How many `--missed all` makes up for.")
]
OverlapOption = Annotated[
    Overlap | None, typer.Option(help="While an earlier job runs: run beside it, skip, wait, …")
]
Jitter = Annotated[str | None, typer.Option(help="Up to so much later, as 30s.")]
Start = Annotated[str | None, typer.Option(help="Nothing is due before, as 2026-12-01T00:00Z.")]
End = Annotated[str | None, typer.Option(help="Nothing is due then or later.")]
Limit = Annotated[int, typer.Option("-n", "--limit", min=1, help="At most so many.")]


@app.command("create")
def create(
    context: typer.Context,
    name: Name,
    job: JobFile,
    cron: Cron = None,
    tz: Zone = None,
    every: Every = None,
    at: At = None,
    missed: MissedOption = None,
    missed_most: MissedMost = None,
    overlap: OverlapOption = None,
    jitter: Jitter = None,
    start: Start = None,
    end: End = None,
    paused: Annotated[bool, typer.Option("--paused", help="Create it paused.")] = False,
) -> None:
    """Create a schedule. Its job runs in your name.

    Example: `dli schedule create nightly --cron '0 3 * * *' --tz Europe/Berlin --job f.yaml`
    """
    session = session_of(context)
    fields = _fields(cron, tz, every, at, missed, missed_most, overlap, jitter, start, end)
    with session.client() as client:
        made = client.create_schedule(name, job=read_document(job), paused=paused, **fields)
    session.say(f"schedule {name} created; first due {made['next_due'] or 'when it is resumed'}")


@app.command("update")
def update(
    context: typer.Context,
    name: Name,
    job: Annotated[
        Path | None, typer.Option("--job", "-f", help="Another job file.", show_default=False)
    ] = None,
    cron: Cron = None,
    tz: Zone = None,
    every: Every = None,
    at: At = None,
    missed: MissedOption = None,
    missed_most: MissedMost = None,
    overlap: OverlapOption = None,
    jitter: Jitter = None,
    start: Start = None,
    end: End = None,
) -> None:
    """Change a schedule; what is not named stays. Its job runs in your name from now on."""
    session = session_of(context)
    fields = _fields(cron, tz, every, at, missed, missed_most, overlap, jitter, start, end)
    if job is not None:
        fields["job"] = read_document(job)
    if all(value is None for value in fields.values()):
        raise UsageError("nothing to change: name something, as --cron '0 4 * * *'")
    with session.client() as client:
        made = client.update_schedule(name, **fields)
    session.say(f"schedule {name} updated; next due {made['next_due']}")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the schedules of the project."""
    session = session_of(context)
    with session.client() as client:
        items = client.schedules()
    if as_json:
        print_json(session.out, items)
        return
    columns = {
        "name": "schedule",
        "cron": "cron",
        "timezone": "time zone",
        "every": "every",
        "at": "at",
        "job.kind": "job",
        "overlap": "overlap",
        "missed": "missed",
        "paused": "paused",
        "next_due": "next due",
    }
    print_items(session.out, items, columns)


@app.command("show")
def show(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """Show a schedule with its job."""
    session = session_of(context)
    with session.client() as client:
        found = client.schedule(name)
    if as_json:
        print_json(session.out, found)
        return
    job = found.pop("job")
    print_facts(session.out, found)
    session.out.print()
    print_json(session.out, job)


@app.command("next")
def next_(context: typer.Context, name: Name, limit: Limit = 10, as_json: JsonFlag = False) -> None:
    """Show the next due times, in UTC and on the clocks of its time zone."""
    session = session_of(context)
    with session.client() as client:
        items = client.next_times(name, limit)
    if as_json:
        print_json(session.out, items)
        return
    print_items(session.out, items, {"due_at": "due", "local": "local time"})


@app.command("pause")
def pause(context: typer.Context, name: Name) -> None:
    """Submit nothing until it is resumed."""
    session = session_of(context)
    with session.client() as client:
        client.pause_schedule(name)
    session.say(f"schedule {name} is paused")


@app.command("resume")
def resume(context: typer.Context, name: Name) -> None:
    """Go on; what was due in the pause is skipped."""
    session = session_of(context)
    with session.client() as client:
        found = client.resume_schedule(name)
    session.say(f"schedule {name} goes on; next due {found['next_due']}")


@app.command("run")
def run(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """Submit its job now, in your name, whatever is due."""
    session = session_of(context)
    with session.client() as client:
        firing = client.run_schedule(name)
    if as_json:
        print_json(session.out, firing)
        return
    session.say(f"schedule {name} is fired as {firing['id']}; see `dli schedule firings {name}`")


@app.command("firings")
def firings(
    context: typer.Context, name: Name, limit: Limit = 20, as_json: JsonFlag = False
) -> None:
    """Show what became of its due times, the newest first."""
    session = session_of(context)
    with session.client() as client:
        items = client.schedule_firings(name, limit)
    if as_json:
        print_json(session.out, items)
        return
    print_items(session.out, items, FIRINGS)


@app.command("delete")
def delete(context: typer.Context, name: Name) -> None:
    """Delete a schedule and its firings; jobs that run go on."""
    session = session_of(context)
    with session.client() as client:
        client.delete_schedule(name)
    session.say(f"schedule {name} deleted")


FIRINGS = {
    "due_at": "due",
    "state": "state",
    "reason": "reason",
    "until": "until",
    "job": "job",
    "attempts": "attempts",
    "error.code": "error",
}


def _fields(
    cron: str | None,
    tz: str | None,
    every: str | None,
    at: str | None,
    missed: Missed | None,
    missed_most: int | None,
    overlap: Overlap | None,
    jitter: str | None,
    start: str | None,
    end: str | None,
) -> dict[str, Any]:
    if sum(rule is not None for rule in (cron, every, at)) > 1:
        raise UsageError("choose one of --cron, --every and --at")
    return {
        "cron": cron,
        "timezone": tz,
        "every": every,
        "at": at,
        "missed": None if missed is None else missed.value,
        "missed_most": missed_most,
        "overlap": None if overlap is None else overlap.value,
        "jitter": jitter,
        "start": start,
        "end": end,
    }
