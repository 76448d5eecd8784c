"""``dli batch``: hand in Spark programs. What becomes of them is for ``dli job``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dli.cli.complaints import Exit
from dli.cli.job import copy_log, end_of
from dli.cli.output import copy_pieces, print_facts, print_json
from dli.cli.parameters import parse_labels
from dli.cli.session import JsonFlag, Session, UsageError, session_of
from dli.client import Client
from storage.base.errors import InvalidInputError
from storage.base.quantities import format_size, parse_size, parse_span

app = typer.Typer(no_args_is_help=True, help="Run Spark programs: Python, jars, SQL scripts.")


@app.callback()
def batch() -> None:
    """Keep ``submit`` a command of its own, though it is the only one."""


@app.command("submit")
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
    sql: Annotated[
        str | None, typer.Option("--sql", help="A SQL script instead of a program.")
    ] = None,
    py_files: Annotated[
        list[str] | None, typer.Option(help="Python files and zips, with commas between.")
    ] = None,
    jars: Annotated[list[str] | None, typer.Option(help="Jars, with commas between.")] = None,
    files: Annotated[
        list[str] | None, typer.Option(help="Files for its folder, with commas between.")
    ] = None,
    main_class: Annotated[str | None, typer.Option("--class", help="Main class of a jar.")] = None,
    name: Annotated[str | None, typer.Option(help="For people; else the file's name.")] = None,
    conf: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of Spark; repeatable.")] = None,
    env: Annotated[list[str] | None, typer.Option(help="KEY=VALUE, no secrets.")] = None,
    table: Annotated[
        list[str] | None, typer.Option(help="DATABASE.TABLE that it reads; repeatable.")
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option("--output", help="Pattern of files that it leaves to keep, as 'out/*.csv'."),
    ] = None,
    size: Annotated[str | None, typer.Option(help="small, medium, large or xlarge.")] = None,
    cores: Annotated[int | None, typer.Option(help="With --memory, instead of --size.")] = None,
    memory: Annotated[str | None, typer.Option(help="As 6GiB; with --cores.")] = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="Run as a client of the queue's warm Spark.")
    ] = False,
    queue: Annotated[str | None, typer.Option(help="The queue to wait in.")] = None,
    priority: Annotated[int | None, typer.Option(help="Higher starts first.")] = None,
    timeout: Annotated[str | None, typer.Option(help="Cancel it after this time, as 2h.")] = None,
    max_cost: Annotated[str | None, typer.Option(help="Refuse if the price is above this.")] = None,
    attempts: Annotated[int | None, typer.Option(help="How often it is tried at most.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; repeatable.")] = None,
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
    script = sql or (given.pop(0) if given else None)
    if script is None:
        raise UsageError("name a program, or --sql and a script")
    options: dict[str, Any] = {
        "language": "sql" if sql else None,
        "arguments": given or None,
        "main_class": main_class,
        "name": name,
        "conf": parse_labels(conf or (), "--conf"),
        "environment": parse_labels(env or (), "--env"),
        "tables": table or None,
        "outputs": output or None,
        "size": size,
        "driver": _exact(cores, memory),
        "session": "connect" if connect else None,
        "queue": queue,
        "priority": priority,
        "timeout": _span(timeout),
        "max_cost": max_cost,
        "retry": None if attempts is None else {"attempts": attempts},
        "labels": parse_labels(label or ()),
        "mode": "estimate" if estimate else None,
    }
    with session.client() as client:
        job = client.submit_batch(
            _place(script),
            py_files=_places(py_files),
            jars=_places(jars),
            files=_places(files),
            **options,
        )
        if estimate:
            _print_estimate(session, job, as_json=as_json)
            return Exit.DONE
        if follow:
            return follow_job(session, client, job, as_json=as_json)
    if as_json:
        print_json(session.out, job)
    else:
        session.out.print(job["id"], markup=False)
        session.say(f"`dli job logs -f {job['id']}` shows what it writes")
    return Exit.DONE


@app.command("output")
def output_(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="As in bat_….", show_default=False)],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A file that it left.", show_default=False)
    ],
    into: Annotated[
        Path | None, typer.Option("-o", "--into", help="Write it to this file.")
    ] = None,
) -> None:
    """Print a file that a batch left; `--output` of `submit` says which are kept."""
    session = session_of(context)
    with session.client() as client, client.batch_output(job_id, name) as pieces:
        copy_pieces(pieces, into)


def follow_job(session: Session, client: Client, job: dict[str, Any], *, as_json: bool) -> int:
    """Print what a job writes until it ends; its end as an exit code. Ctrl-C cancels it."""
    session.say(f"{job['id']} is {job['state']}")
    try:
        if not as_json:
            copy_log(client, job["id"], follow=True)
        job = client.wait_job(client.job(job["id"]))
    except KeyboardInterrupt:
        session.say(f"cancelling {job['id']} …")
        job = client.wait_job(client.cancel_job(job["id"]))
    if as_json:
        print_json(session.out, job)
    session.say(f"{job['id']} is {job['state']}")
    return end_of(session, job)


def _print_estimate(session: Session, told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(session.out, told)
        return
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


def _places(given: list[str] | None) -> list[Path | str]:
    return [_place(each) for text in given or () for each in text.split(",") if each]


def _place(text: str) -> Path | str:
    """A file of this machine, or the address of an object."""
    if "://" in text:
        return text
    path = Path(text).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {text}")
    return path


def _exact(cores: int | None, memory: str | None) -> dict[str, int] | None:
    if (cores is None) != (memory is None):
        raise UsageError("--cores and --memory go together")
    if cores is None or memory is None:
        return None
    try:
        return {"cores": cores, "memory": parse_size(memory)}
    except InvalidInputError as error:
        raise UsageError(f"--memory: {error.message}; {error.hint}") from error


def _span(text: str | None) -> str | None:
    try:
        if text is not None:
            parse_span(text)
    except InvalidInputError as error:
        raise UsageError(f"--timeout: {error.message}; {error.hint}") from error
    return text
