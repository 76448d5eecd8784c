"""``dli schedule``: jobs at their times."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from dli.cli.bounds import NONE, Bound, changes_of
from dli.cli.documents import JobFile, read_document
from dli.cli.options import Limit, Name, grouped
from dli.cli.output import print_answer, print_facts, print_json, print_list
from dli.cli.parameters import checked_moment, checked_span
from dli.cli.session import JsonFlag, Session, UsageError, session_of

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


_COLUMNS = {"name": "schedule", "cron": "cron", "timezone": "time zone", "every": "every"}
_COLUMNS |= {"at": "at", "job.kind": "job", "overlap": "overlap", "missed": "missed"}
_COLUMNS |= {"paused": "paused", "next_due": "next due"}
FIRINGS = {"due_at": "due", "state": "state", "reason": "reason", "until": "until", "job": "job"}
FIRINGS |= {"attempts": "attempts", "error.code": "error", "error.message": "why"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When jobs are due, and what happens where one cannot start then."""

    cron: Annotated[
        str | None, typer.Option(help="Five fields, as `0 3 * * 1-5`, or @daily and the like.")
    ] = None
    tz: Annotated[str | None, typer.Option(help="Time zone, as Europe/Berlin; else UTC.")] = None
    every: Annotated[str | None, typer.Option(help="At intervals of 1s or more, as 15m.")] = None
    at: Annotated[
        str | None, typer.Option(help="Once, as 2026-12-24T18:00 on the clocks of --tz.")
    ] = None
    missed: Annotated[
        Missed | None, typer.Option(help="Due times that were missed: skipped, or made up for.")
    ] = None
    missed_most: Annotated[
        int | None, typer.Option(min=1, max=1000, help="How many `--missed all` makes up for.")
    ] = None
    overlap: Annotated[
        Overlap | None, typer.Option(help="While an earlier job runs: run beside it, skip, wait, …")
    ] = None
    jitter: Annotated[
        str | None, typer.Option(help="Up to so much later, as 30s; `none`: at the due time.")
    ] = None
    start: Annotated[
        str | None,
        typer.Option(help="Nothing is due before, as 2026-12-01T00:00Z; `none`: no such bound."),
    ] = None
    end: Annotated[
        str | None, typer.Option(help="Nothing is due then or later; `none`: it has no end.")
    ] = None

    def fields(self) -> dict[str, Any]:
        """What was given, by the names of the API; None takes away."""
        if sum(rule is not None for rule in (self.cron, self.every, self.at)) > 1:
            raise UsageError("choose one of --cron, --every and --at")
        fields = {
            "cron": self.cron,
            "timezone": self.tz,
            "every": checked_span("--every", self.every),
            "at": checked_moment("--at", self.at),
            "missed": self.missed,
            "missed_most": self.missed_most,
            "overlap": self.overlap,
            "jitter": "0s" if self.jitter == NONE else checked_span("--jitter", self.jitter),
        }
        return {name: value for name, value in fields.items() if value is not None} | changes_of(
            Bound("start", "--start", self.start, checked_moment),
            Bound("end", "--end", self.end, checked_moment),
        )


@app.command("create")
@grouped
def create(
    context: typer.Context,
    name: Name,
    job: JobFile,
    rule: Rule,
    paused: Annotated[bool, typer.Option("--paused", help="Create it paused.")] = False,
) -> None:
    """Create a schedule. Its job runs in your name.

    Example: `dli schedule create nightly --cron '0 3 * * *' --tz Europe/Berlin --job f.yaml`
    """
    session = session_of(context)
    fields = rule.fields()
    if not fields.keys() & {"cron", "every", "at"}:
        raise UsageError("choose one of --cron, --every and --at")
    made = session.client.create_schedule(name, job=read_document(job), paused=paused, **fields)
    session.say(f"schedule {name} created; first due {made['next_due'] or 'when it is resumed'}")


@app.command("update")
@grouped
def update(
    context: typer.Context,
    name: Name,
    *,
    job: Annotated[
        Path | None, typer.Option("--job", "-f", help="Another job file.", show_default=False)
    ] = None,
    rule: Rule,
) -> None:
    """Change a schedule; what is not named stays. Its job runs in your name from now on.

    `none` takes a bound away. Example: `dli schedule update nightly --end none`
    """
    session = session_of(context)
    fields = rule.fields()
    if job is not None:
        fields["job"] = read_document(job)
    if not fields:
        raise UsageError("nothing to change: name something, as --cron '0 4 * * *'")
    made = session.client.update_schedule(name, **fields)
    session.say(f"schedule {name} updated; next due {made['next_due']}")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the schedules of the project."""
    session = session_of(context)
    print_list(session, session.client.schedules(), _COLUMNS, as_json=as_json)


@app.command("show")
def show(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """Show a schedule with its job."""
    session = session_of(context)
    print_answer(session, session.client.schedule(name), print_with_job, as_json=as_json)


@app.command("next")
def next_(context: typer.Context, name: Name, limit: Limit = 10, as_json: JsonFlag = False) -> None:
    """Show the next due times, in UTC and on the clocks of its time zone."""
    session = session_of(context)
    columns = {"due_at": "due", "local": "local time"}
    print_list(session, session.client.next_times(name, limit), columns, as_json=as_json)


@app.command("pause")
def pause(context: typer.Context, name: Name) -> None:
    """Submit nothing until it is resumed."""
    session = session_of(context)
    session.client.pause_schedule(name)
    session.say(f"schedule {name} is paused")


@app.command("resume")
def resume(context: typer.Context, name: Name) -> None:
    """Go on; what was due in the pause is skipped."""
    session = session_of(context)
    found = session.client.resume_schedule(name)
    session.say(f"schedule {name} goes on; next due {found['next_due']}")


@app.command("run")
def run(context: typer.Context, name: Name, as_json: JsonFlag = False) -> None:
    """Submit its job now, in your name, whatever is due."""
    session = session_of(context)
    firing = session.client.run_schedule(name)
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
    print_list(session, session.client.schedule_firings(name, limit), FIRINGS, as_json=as_json)


@app.command("delete")
def delete(context: typer.Context, name: Name) -> None:
    """Delete a schedule and its firings; jobs that run go on."""
    session = session_of(context)
    session.client.delete_schedule(name)
    session.say(f"schedule {name} deleted")


def print_with_job(session: Session, found: dict[str, Any]) -> None:
    """A schedule or a trigger, and below it the job that it submits."""
    print_facts(session.out, {name: found[name] for name in found if name != "job"})
    session.out.print()
    print_json(session.out, found["job"])
