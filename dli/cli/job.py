"""``dli job``: everything that was asked for, of every kind."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any, BinaryIO

import typer

from dli.cli.complaints import Exit, print_problem
from dli.cli.output import print_facts, print_items, print_json, size
from dli.cli.session import JsonFlag, Session, session_of
from dli.client import Client
from dli.remote.problems import Problem

app = typer.Typer(no_args_is_help=True, help="Batches, tasks, pipeline runs and statements alike.")
Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="As in stm_…, bat_…, tsk_… or plr_….", show_default=False),
]


class Stream(StrEnum):
    """Which output of a job."""

    STDOUT = "stdout"
    STDERR = "stderr"


@app.command("list")
def list_(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="statement, batch, task or pipeline.")] = None,
    state: Annotated[str | None, typer.Option(help="queued, running, finished, failed, …")] = None,
    queue: Annotated[str | None, typer.Option(help="Of this queue.")] = None,
    parent: Annotated[str | None, typer.Option(help="Nodes of this pipeline run.")] = None,
    label: Annotated[str | None, typer.Option(help="KEY=VALUE.")] = None,
    since: Annotated[str | None, typer.Option(help="Made at or after, 2026-11-21T09:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Made before.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List jobs, the newest first."""
    session = session_of(context)
    filters = {"kind": kind, "state": state, "queue": queue, "parent": parent}
    filters |= {"label": label, "from": since, "to": until}
    with session.client() as client:
        found = list(islice(client.jobs(**filters, limit=min(limit, 100)), limit))
    if as_json:
        print_json(session.out, found)
        return
    columns = {"id": "id", "kind": "kind", "name": "name", "state": "state", "queue": "queue"}
    columns |= {"priority": "priority", "created_at": "created", "bill": "bill"}
    print_items(session.out, found, columns | {"error.code": "error"})


@app.command("show")
def show(context: typer.Context, job_id: Id, as_json: JsonFlag = False) -> None:
    """Show a job: state, attempts, what it came to, its way so far."""
    session = session_of(context)
    with session.client() as client:
        job = client.job(job_id)
    if as_json:
        print_json(session.out, job)
    else:
        print_job(session, job)


@app.command("logs")
def logs(
    context: typer.Context,
    job_id: Id,
    stream: Annotated[Stream, typer.Option(help="Which output.")] = Stream.STDOUT,
    attempt: Annotated[int | None, typer.Option(min=1, help="The last if not given.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job ends.")
    ] = False,
) -> None:
    """Print what a batch or a task wrote."""
    session = session_of(context)
    with session.client() as client:
        copy_log(client, job_id, stream=stream, attempt=attempt, follow=follow)


@app.command("cancel")
def cancel(
    context: typer.Context,
    job_id: Id,
    wait: Annotated[bool, typer.Option(help="Return only when it has stopped.")] = True,
) -> None:
    """Cancel a job; `cancelled` is said only when its work has stopped."""
    session = session_of(context)
    with session.client() as client:
        job = client.cancel_job(job_id)
        if wait:
            job = client.wait_job(job)
    session.say(f"{job['id']} is {job['state']}")


@app.command("wait")
def wait_(context: typer.Context, job_id: Id) -> int:
    """Wait for a job's end; the exit code tells how it ended."""
    session = session_of(context)
    with session.client() as client:
        return end_of(session, client.wait_job(client.job(job_id)))


@app.command("explain")
def explain(context: typer.Context, job_id: Id, as_json: JsonFlag = False) -> None:
    """Tell what happened to a job and why, and what it waits for."""
    session = session_of(context)
    with session.client() as client:
        told = client.explain_job(job_id)
    if as_json:
        print_json(session.out, told)
        return
    for line in told["story"]:
        session.out.print(line, markup=False, soft_wrap=True)


@app.command("events")
def events(context: typer.Context, job_id: Id, as_json: JsonFlag = False) -> None:
    """List the steps of a job."""
    session = session_of(context)
    with session.client() as client:
        history = client.job(job_id)["history"]
    if as_json:
        print_json(session.out, history)
    else:
        print_items(session.out, history, {"at": "at", "state": "state", "event": "event"})


def copy_log(
    client: Client,
    job_id: str,
    *,
    stream: Stream = Stream.STDOUT,
    attempt: int | None = None,
    follow: bool = False,
    sink: BinaryIO | None = None,
) -> None:
    """The bytes of a log to ``sink``, or our standard output, as they come."""
    to = sys.stdout.buffer if sink is None else sink
    with client.log(job_id, stream=stream.value, attempt=attempt, follow=follow) as pieces:
        for piece in pieces:
            to.write(piece)
            to.flush()


def end_of(session: Session, job: dict[str, Any]) -> int:
    """The exit code of a job that has ended; says on stderr what went wrong."""
    if job["state"] == "finished":
        return Exit.DONE
    if job.get("error"):
        print_problem(session.err, Problem.read(job["error"]))
    return Exit.CANCELLED if job["state"] == "cancelled" else Exit.FAILED


def print_job(session: Session, job: dict[str, Any]) -> None:
    """All that people ask about one job."""
    timings = ", ".join(f"{name} {value:,.1f}" for name, value in job["timings_ms"].items())
    wait, stuck = job.get("wait"), job.get("obstacle")
    print_facts(
        session.out,
        {
            job["kind"]: job["id"],
            "name": job.get("name"),
            "state": job["state"],
            "waits": f"{wait['detail']} (place {wait['position']})" if wait else None,
            "does not start": f"{stuck['reason']}: {stuck['message']}" if stuck else None,
            "queue": job["queue"],
            "priority": job["priority"] or None,
            "part of": f"{job['parent']} as {job['node']}" if job.get("parent") else None,
            "created": job["created_at"],
            "started": job.get("started_at"),
            "ended": job.get("ended_at"),
            "milliseconds": timings or None,
            "billed": job.get("bill"),
        },
    )
    if facts := job.get("facts"):
        session.out.print()
        print_facts(session.out, facts)
    if attempts := job.get("attempts"):
        session.out.print()
        print_items(session.out, [_attempt(each) for each in attempts], _ATTEMPT)
    if history := job.get("history"):
        session.out.print()
        print_items(session.out, history, {"at": "at", "state": "state", "event": "event"})
    if job.get("error"):
        print_problem(session.err, Problem.read(job["error"]))


_ATTEMPT = {"attempt": "attempt", "run": "run", "exit_code": "exit", "reason": "reason"}
_ATTEMPT |= {"cpu_milliseconds": "cpu ms", "peak": "peak memory"}


def _attempt(attempt: dict[str, Any]) -> dict[str, Any]:
    peak = attempt.get("peak_memory")
    return {**attempt, "peak": None if peak is None else size(peak)}
