"""``dli job``: everything that was asked for, of every kind."""

from __future__ import annotations

import sys
from enum import StrEnum
from itertools import islice
from typing import Annotated, Any, BinaryIO

import typer

from dli.cli.complaints import Exit, print_problem
from dli.cli.options import Limit, OfLabel, OfQueue, Since, State, Until, Wait
from dli.cli.output import (
    print_answer,
    print_facts,
    print_items,
    print_json,
    print_list,
    print_text,
    size,
)
from dli.cli.parameters import between
from dli.cli.session import JsonFlag, Session, session_of
from dli.remote.problems import Problem

app = typer.Typer(no_args_is_help=True, help="Batches, tasks, pipeline runs and statements alike.")
Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="As in stm_…, bat_…, tsk_… or plr_….", show_default=False),
]

_COLUMNS = {"id": "id", "kind": "kind", "name": "name", "state": "state", "queue": "queue"}
_COLUMNS |= {"priority": "priority", "created_at": "created", "bill": "bill"}
_COLUMNS |= {"error.code": "error"}
_ATTEMPT = {"attempt": "attempt", "run": "run", "exit_code": "exit", "reason": "reason"}
_ATTEMPT |= {"cpu_milliseconds": "cpu ms", "peak": "peak memory"}
_BYTES = frozenset({"memory_bytes", "peak_memory"})  # of facts
_NODES = {"name": "node", "state": "state", "job": "job", "attempt": "attempt", "reason": "why"}
STEPS = {"at": "at", "state": "state", "event": "event"}


class Stream(StrEnum):
    """Which output of a job."""

    STDOUT = "stdout"
    STDERR = "stderr"


@app.command("list")
def list_(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="statement, batch, task or pipeline.")] = None,
    state: State = None,
    queue: OfQueue = None,
    parent: Annotated[str | None, typer.Option(help="Nodes of this pipeline run.")] = None,
    label: OfLabel = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    as_json: JsonFlag = False,
) -> None:
    """List jobs, the newest first."""
    session = session_of(context)
    filters = {"kind": kind, "state": state, "queue": queue, "parent": parent}
    filters |= {"label": label, **between(since, until)}
    found = islice(session.client.jobs(**filters, limit=min(limit, 100)), limit)
    print_list(session, list(found), _COLUMNS, as_json=as_json)


@app.command("show")
def show(context: typer.Context, job_id: Id, as_json: JsonFlag = False) -> None:
    """Show a job: state, attempts, what it came to, its way so far."""
    session = session_of(context)
    print_answer(session, session.client.job(job_id), print_job, as_json=as_json)


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
    copy_log(session_of(context), job_id, stream=stream, attempt=attempt, follow=follow)


@app.command("cancel")
def cancel(
    context: typer.Context,
    job_id: Id,
    wait: Wait = True,
) -> None:
    """Cancel a job; `cancelled` is said only when its work has stopped."""
    session = session_of(context)
    job = session.client.cancel_job(job_id)
    if wait:
        job = session.client.wait_job(job)
    session.say(f"{job['id']} is {job['state']}")


@app.command("wait")
def wait_(context: typer.Context, job_id: Id) -> int:
    """Wait for a job's end; the exit code tells how it ended."""
    session = session_of(context)
    return end_of(session, session.client.wait_job(session.client.job(job_id)))


@app.command("explain")
def explain(context: typer.Context, job_id: Id, as_json: JsonFlag = False) -> None:
    """Tell what happened to a job and why, and what it waits for."""
    session = session_of(context)
    told = session.client.explain_job(job_id)
    if as_json:
        print_json(session.out, told)
        return
    for line in told["story"]:
        print_text(session.out, line)


@app.command("events")
def events(context: typer.Context, job_id: Id, as_json: JsonFlag = False) -> None:
    """List the steps of a job."""
    session = session_of(context)
    print_list(session, session.client.job(job_id)["history"], STEPS, as_json=as_json)


@app.command("schema")
def schema(context: typer.Context) -> None:
    """Print the JSON Schema of a job file, by which editors tell mistakes in it.

    Example: `dli job schema > job.schema.json`
    """
    session = session_of(context)
    print_json(session.out, session.client.job_schema())


def copy_log(
    session: Session,
    job_id: str,
    *,
    stream: Stream = Stream.STDOUT,
    attempt: int | None = None,
    follow: bool = False,
    sink: BinaryIO | None = None,
) -> None:
    """The bytes of a log to ``sink``, or our standard output, as they come."""
    to = sys.stdout.buffer if sink is None else sink
    log = session.client.log(job_id, stream=stream.value, attempt=attempt, follow=follow)
    with log as pieces:
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
    facts = dict(job.get("facts") or {})
    nodes = facts.pop("nodes", None)  # of a pipeline run
    if facts:
        session.out.print()
        print_facts(session.out, _with_sizes(facts))
    if nodes:
        session.out.print()
        print_items(session.out, [{"name": name, **node} for name, node in nodes.items()], _NODES)
    if attempts := job.get("attempts"):
        session.out.print()
        print_items(session.out, [_attempt(each) for each in attempts], _ATTEMPT)
    if history := job.get("history"):
        session.out.print()
        print_items(session.out, history, STEPS)
    if job.get("error"):
        print_problem(session.err, Problem.read(job["error"]))


def _with_sizes(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts with bytes as people read them."""
    read: dict[str, Any] = {}
    for name, value in facts.items():
        inner = _with_sizes(value) if isinstance(value, dict) else value
        read[name] = size(value) if name in _BYTES and value is not None else inner
    return read


def _attempt(attempt: dict[str, Any]) -> dict[str, Any]:
    peak = attempt.get("peak_memory")
    return {**attempt, "peak": None if peak is None else size(peak)}
