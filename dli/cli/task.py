"""``dli task``: commands on the service's machines or in images, with bytes in and bytes out."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from dli.cli.complaints import Exit
from dli.cli.files import copy_pieces
from dli.cli.job import Stream, copy_log, end_of
from dli.cli.options import Attempts, Into, Labels, Outputs, Priority, Queue, grouped
from dli.cli.output import print_json, print_text
from dli.cli.parameters import checked_size, checked_span, parse_labels, source
from dli.cli.session import JsonFlag, Session, UsageError, session_of

app = typer.Typer(
    no_args_is_help=True,
    help="Run commands: bytes in, bytes out. `dli job` lists, shows and cancels them.",
)

Command = Annotated[
    list[str], typer.Argument(metavar="-- CMD", help="The program, and its arguments.")
]
Input = Annotated[
    str | None, typer.Option("--stdin", help="A file, or an address, instead of our own input.")
]


@dataclass(frozen=True, kw_only=True)
class Where:
    """On what a command runs."""

    local: Annotated[
        bool, typer.Option("--local", help="A program of the service's own machine, or image.")
    ] = False
    image: Annotated[
        str | None, typer.Option(help="In a container of this image; needs Kubernetes.")
    ] = None

    def chosen(self) -> str | None:
        """The image, None for the service's own machine."""
        if self.local == (self.image is not None):
            raise UsageError("say where it runs: --local, or --image and its name")
        return self.image


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a command gets, may use and leaves."""

    file: Annotated[
        list[str] | None,
        typer.Option(help="A file, or an address, for its folder; repeatable."),
    ] = None
    output: Outputs = None
    env: Annotated[list[str] | None, typer.Option(help="KEY=VALUE, no secrets; repeatable.")] = None
    name: Annotated[str | None, typer.Option(help="For people; else the program's.")] = None
    cores: Annotated[int | None, typer.Option(help="1 if not given.")] = None
    memory: Annotated[str | None, typer.Option(help="As 512MiB; 1GiB if not given.")] = None
    max_output: Annotated[
        str | None, typer.Option(help="End it when it writes more, as 100MiB.")
    ] = None
    queue: Queue = None
    priority: Priority = None
    timeout: Annotated[str | None, typer.Option(help="Cancel it after this time, as 10m.")] = None
    attempts: Attempts = None
    label: Labels = None

    def fields(self) -> dict[str, Any]:
        """By the names of the client's ``submit_task``."""
        return {
            "environment": parse_labels(self.env, "--env"),
            "name": self.name,
            "cores": self.cores,
            "memory": checked_size("--memory", self.memory),
            "max_output": checked_size("--max-output", self.max_output),
            "queue": self.queue,
            "priority": self.priority,
            "timeout": checked_span("--timeout", self.timeout),
            "retry": None if self.attempts is None else {"attempts": self.attempts},
            "files": [source(each) for each in self.file or ()],
            "outputs": self.output,
            "labels": parse_labels(self.label),
        }


@app.command("run")
@grouped
def run(
    context: typer.Context,
    command: Command,
    *,
    where: Where,
    stdin: Input = None,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="It reads nothing.")] = False,
    wishes: Wishes,
) -> int:
    """Run a command as if it were here: our input is its input, its output is ours.

    Its input is sent before it starts, and its output comes when it has ended. Ctrl-C cancels it.

    Example: `dli task run --local -- sort -u < names.txt > sorted.txt`
    """
    session = session_of(context)
    image, fields = where.chosen(), wishes.fields()
    given = _input(stdin, sys.stdin.buffer, none=no_stdin or sys.stdin.isatty())
    job = session.client.submit_task(command, image=image, stdin=given, **fields)
    return _followed(session, job)


@app.command("submit")
@grouped
def submit(
    context: typer.Context,
    command: Command,
    *,
    where: Where,
    stdin: Input = None,
    wishes: Wishes,
    as_json: JsonFlag = False,
) -> None:
    """Hand in a command and print its id; `dli job wait` and `dli task output` do the rest."""
    session = session_of(context)
    image, fields = where.chosen(), wishes.fields()
    given = None if stdin is None else source(stdin)
    job = session.client.submit_task(command, image=image, stdin=given, **fields)
    if as_json:
        print_json(session.out, job)
    else:
        print_text(session.out, job["id"])


@app.command("output")
def output_(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="As in tsk_….", show_default=False)],
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A file that it left.", show_default=False)
    ] = "stdout",
    into: Into = None,
) -> None:
    """Print what a task wrote, or a file that it left."""
    with session_of(context).client.task_output(job_id, name) as pieces:
        copy_pieces(pieces, into)


def _followed(session: Session, job: dict[str, Any]) -> int:
    """What it says on its standard error as it comes, then what it wrote; its end as a code."""
    client = session.client
    session.say(f"{job['id']} is {job['state']}")
    try:
        copy_log(session, job["id"], stream=Stream.STDERR, follow=True, sink=sys.stderr.buffer)
        job = client.wait_job(client.job(job["id"]))
    except KeyboardInterrupt:
        session.say(f"cancelling {job['id']} …")
        job = client.wait_job(client.cancel_job(job["id"]))
    session.say(f"{job['id']} is {job['state']}")
    if job["state"] == "finished":
        with client.task_output(job["id"]) as pieces:
            copy_pieces(pieces)
        return Exit.DONE
    return end_of(session, job)


def _input(given: str | None, ours: BinaryIO, *, none: bool) -> Path | str | BinaryIO | None:
    """What the command reads: what ``--stdin`` names, else our own input."""
    if given is not None:
        return source(given)
    return None if none else ours
