"""``dli batch``: hand in Spark programs. What becomes of them is for ``dli job``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dli.cli.complaints import Exit
from dli.cli.files import copy_pieces
from dli.cli.job import copy_log, end_of
from dli.cli.options import Attempts, Into, Labels, Outputs, Priority, Queue, grouped
from dli.cli.output import print_answer, print_facts, print_json, print_text
from dli.cli.parameters import (
    checked_amount,
    checked_span,
    parse_bytes,
    parse_labels,
    source,
)
from dli.cli.session import JsonFlag, Session, UsageError, session_of
from storage.base.quantities import format_size

app = typer.Typer(
    no_args_is_help=True,
    help="Run Spark programs: Python, jars, SQL scripts. `dli job` lists, shows and cancels them.",
)


@app.callback()
def batch() -> None:
    """Keep ``submit`` a command of its own, though it is the only one."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """What runs, besides the program itself."""

    sql: Annotated[str | None, typer.Option(help="A SQL script instead of a program.")] = None
    py_files: Annotated[
        list[str] | None, typer.Option(help="Python files and zips, with commas between.")
    ] = None
    jars: Annotated[list[str] | None, typer.Option(help="Jars, with commas between.")] = None
    files: Annotated[
        list[str] | None, typer.Option(help="Files for its folder, with commas between.")
    ] = None
    main_class: Annotated[str | None, typer.Option("--class", help="Main class of a jar.")] = None


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a program gets, may use and leaves."""

    name: Annotated[str | None, typer.Option(help="For people; else the file's name.")] = None
    conf: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of Spark; repeatable.")] = None
    env: Annotated[list[str] | None, typer.Option(help="KEY=VALUE, no secrets.")] = None
    table: Annotated[
        list[str] | None, typer.Option(help="DATABASE.TABLE that it reads; repeatable.")
    ] = None
    output: Outputs = None
    size: Annotated[str | None, typer.Option(help="small, medium, large or xlarge.")] = None
    cores: Annotated[int | None, typer.Option(help="With --memory, instead of --size.")] = None
    memory: Annotated[str | None, typer.Option(help="As 6GiB; with --cores.")] = None
    connect: Annotated[
        bool, typer.Option("--connect", help="Run as a client of the queue's warm Spark.")
    ] = False
    queue: Queue = None
    priority: Priority = None
    timeout: Annotated[str | None, typer.Option(help="Cancel it after this time, as 2h.")] = None
    max_cost: Annotated[str | None, typer.Option(help="Refuse if the price is above this.")] = None
    attempts: Attempts = None
    label: Labels = None

    def fields(self) -> dict[str, Any]:
        """By the names of the client's ``submit_batch``."""
        return {
            "name": self.name,
            "conf": parse_labels(self.conf, "--conf"),
            "environment": parse_labels(self.env, "--env"),
            "tables": self.table or None,
            "outputs": self.output or None,
            "size": self.size,
            "driver": self._driver(),
            "session": "connect" if self.connect else None,
            "queue": self.queue,
            "priority": self.priority,
            "timeout": checked_span("--timeout", self.timeout),
            "max_cost": checked_amount("--max-cost", self.max_cost),
            "retry": None if self.attempts is None else {"attempts": self.attempts},
            "labels": parse_labels(self.label),
        }

    def _driver(self) -> dict[str, int | None] | None:
        if (self.cores is None) != (self.memory is None):
            raise UsageError("--cores and --memory go together")
        if self.cores is None:
            return None
        return {"cores": self.cores, "memory": parse_bytes("--memory", self.memory)}


@app.command("submit")
@grouped
def submit(
    context: typer.Context,
    program: Annotated[
        str | None,
        typer.Argument(
            metavar="PROGRAM", help="A .py or .jar file, or the address of one.", show_default=False
        ),
    ] = None,
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="-- ARGS", help="Handed to the program.")
    ] = None,
    *,
    code: Code,
    wishes: Wishes,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Show size and most use; run nothing.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print its output and wait for its end.")
    ] = False,
    as_json: JsonFlag = False,
) -> int:
    """Run a Spark program. Local files are uploaded; texts with `://` are addresses of objects.

    With `--follow` the exit code tells how it ended, and Ctrl-C cancels it.

    Examples: `dli batch submit count.py --follow -- /data/books`,
    `dli batch submit --sql nightly.sql -- day=2026-11-21`
    """
    session = session_of(context)
    given = [each for each in (program, *(arguments or ())) if each is not None]
    if code.sql and program is not None and "=" not in program:
        raise UsageError(f"{program}: with --sql there is no program; its values are NAME=VALUE")
    script = code.sql or (given.pop(0) if given else None)
    if script is None:
        raise UsageError("name a program, or --sql and a script")
    fields = wishes.fields()
    job = session.client.submit_batch(
        source(script),
        arguments=given or None,
        language="sql" if code.sql else None,
        main_class=code.main_class,
        py_files=_sources(code.py_files),
        jars=_sources(code.jars),
        files=_sources(code.files),
        mode="estimate" if estimate else None,
        **fields,
    )
    if follow and not estimate:
        return follow_job(session, job, as_json=as_json)
    print_answer(session, job, _print_estimate if estimate else _print_job, as_json=as_json)
    return Exit.DONE


@app.command("output")
def output_(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="As in bat_….", show_default=False)],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A file that it left.", show_default=False)
    ],
    into: Into = None,
) -> None:
    """Print a file that a batch left; `--output` of `submit` says which are kept."""
    with session_of(context).client.batch_output(job_id, name) as pieces:
        copy_pieces(pieces, into)


def follow_job(session: Session, job: dict[str, Any], *, as_json: bool) -> int:
    """Print what a job writes until it ends; its end as an exit code. Ctrl-C cancels it."""
    client = session.client
    session.say(f"{job['id']} is {job['state']}")
    try:
        if not as_json:
            copy_log(session, job["id"], follow=True)
        job = client.wait_job(client.job(job["id"]))
    except KeyboardInterrupt:
        session.say(f"cancelling {job['id']} …")
        job = client.wait_job(client.cancel_job(job["id"]))
    if as_json:
        print_json(session.out, job)
    session.say(f"{job['id']} is {job['state']}")
    return end_of(session, job)


def _print_job(session: Session, job: dict[str, Any]) -> None:
    print_text(session.out, job["id"])
    session.say(f"`dli job logs -f {job['id']}` shows what it writes")


def _print_estimate(session: Session, told: dict[str, Any]) -> None:
    use = told["cu_milliseconds"]
    likely = use["likely"]
    print_facts(
        session.out,
        {
            "name": told["name"],
            "queue": told["queue"],
            "size": f"{told['size']['cores']} cores, {format_size(told['size']['memory_bytes'])}",
            "timeout": told["timeout"],
            "likely use": None if likely is None else f"{likely / 1000:,.1f} CU seconds",
            "most use": f"{use['most'] / 1000:,.1f} CU seconds",
            "price": "none",
            "why": told["reason"],
        },
    )


def _sources(given: list[str] | None) -> list[Path | str]:
    return [source(each) for text in given or () for each in text.split(",") if each]
