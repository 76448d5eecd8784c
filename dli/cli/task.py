"""``dli task``: commands on the service's machines or in images, with bytes in and bytes out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from dli.cli.complaints import Exit
from dli.cli.job import Stream, copy_log, end_of
from dli.cli.output import copy_pieces, print_json
from dli.cli.parameters import parse_labels
from dli.cli.session import JsonFlag, Session, UsageError, session_of
from dli.client import Client
from storage.base.errors import InvalidInputError
from storage.base.quantities import parse_size, parse_span

app = typer.Typer(no_args_is_help=True, help="Run commands: bytes in, bytes out.")

_BLOCK = 1 << 20

Command = Annotated[
    list[str], typer.Argument(metavar="CMD", help="The program, and its arguments.")
]
Local = Annotated[
    bool, typer.Option("--local", help="A program of the service's own machine, or image.")
]
Image = Annotated[str | None, typer.Option(help="In a container of this image; needs Kubernetes.")]
Input = Annotated[
    str | None, typer.Option("--stdin", help="A file, or an address, instead of our own input.")
]
FilesOption = Annotated[
    list[str] | None,
    typer.Option("--file", help="A file, or an address, for its folder; repeatable."),
]
Outputs = Annotated[
    list[str] | None,
    typer.Option("--output", help="Pattern of files that it leaves to keep, as 'out/*.csv'."),
]
Env = Annotated[list[str] | None, typer.Option(help="KEY=VALUE, no secrets; repeatable.")]
Name = Annotated[str | None, typer.Option(help="For people; else the program's.")]
Cores = Annotated[int | None, typer.Option(help="1 if not given.")]
Memory = Annotated[str | None, typer.Option(help="As 512MiB; 1GiB if not given.")]
MaxOutput = Annotated[str | None, typer.Option(help="End it when it writes more, as 100MiB.")]
Queue = Annotated[str | None, typer.Option(help="The queue to wait in.")]
Priority = Annotated[int | None, typer.Option(help="Higher starts first.")]
Timeout = Annotated[str | None, typer.Option(help="Cancel it after this time, as 10m.")]
Attempts = Annotated[int | None, typer.Option(help="How often it is tried at most.")]
Labels = Annotated[list[str] | None, typer.Option(help="KEY=VALUE; repeatable.")]


@app.command("run")
def run(
    context: typer.Context,
    command: Command,
    local: Local = False,
    image: Image = None,
    stdin: Input = None,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="It reads nothing.")] = False,
    file: FilesOption = None,
    output: Outputs = None,
    env: Env = None,
    name: Name = None,
    cores: Cores = None,
    memory: Memory = None,
    max_output: MaxOutput = None,
    queue: Queue = None,
    priority: Priority = None,
    timeout: Timeout = None,
    attempts: Attempts = None,
    label: Labels = None,
) -> int:
    """Run a command as if it were here: our input is its input, its output is ours.

    Its input is sent before it starts, and its output comes when it has ended. Ctrl-C cancels it.

    Example: `dli task run --local -- sort -u < names.txt > sorted.txt`
    """
    session = session_of(context)
    _check_place(local, image)
    options = _options(env, name, cores, memory, max_output, queue, priority, timeout, attempts)
    with session.client() as client:
        given = _input(stdin, sys.stdin.buffer, none=no_stdin or sys.stdin.isatty())
        job = client.submit_task(
            command,
            image=image,
            stdin=given,
            files=[_place(each) for each in file or ()],
            outputs=output,
            labels=parse_labels(label or ()),
            **options,
        )
        return _followed(session, client, job)


@app.command("submit")
def submit(
    context: typer.Context,
    command: Command,
    local: Local = False,
    image: Image = None,
    stdin: Input = None,
    file: FilesOption = None,
    output: Outputs = None,
    env: Env = None,
    name: Name = None,
    cores: Cores = None,
    memory: Memory = None,
    max_output: MaxOutput = None,
    queue: Queue = None,
    priority: Priority = None,
    timeout: Timeout = None,
    attempts: Attempts = None,
    label: Labels = None,
    as_json: JsonFlag = False,
) -> None:
    """Hand in a command and print its id; `dli job wait` and `dli task output` do the rest."""
    session = session_of(context)
    _check_place(local, image)
    options = _options(env, name, cores, memory, max_output, queue, priority, timeout, attempts)
    with session.client() as client:
        job = client.submit_task(
            command,
            image=image,
            stdin=None if stdin is None else _place(stdin),
            files=[_place(each) for each in file or ()],
            outputs=output,
            labels=parse_labels(label or ()),
            **options,
        )
    if as_json:
        print_json(session.out, job)
    else:
        session.out.print(job["id"], markup=False)


@app.command("output")
def output_(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="As in tsk_….", show_default=False)],
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A file that it left.", show_default=False)
    ] = "stdout",
    into: Annotated[
        Path | None, typer.Option("-o", "--into", help="Write it to this file.")
    ] = None,
) -> None:
    """Print what a task wrote, or a file that it left."""
    session = session_of(context)
    with session.client() as client, client.task_output(job_id, name) as pieces:
        copy_pieces(pieces, into)


def _followed(session: Session, client: Client, job: dict[str, Any]) -> int:
    """What it says on its standard error as it comes, then what it wrote; its end as a code."""
    session.say(f"{job['id']} is {job['state']}")
    try:
        copy_log(client, job["id"], stream=Stream.STDERR, follow=True, sink=sys.stderr.buffer)
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
        return _place(given)
    return None if none else ours


def _check_place(local: bool, image: str | None) -> None:
    if local == (image is not None):
        raise UsageError("say where it runs: --local, or --image and its name")


def _options(
    env: list[str] | None,
    name: str | None,
    cores: int | None,
    memory: str | None,
    max_output: str | None,
    queue: str | None,
    priority: int | None,
    timeout: str | None,
    attempts: int | None,
) -> dict[str, Any]:
    return {
        "environment": parse_labels(env or (), "--env"),
        "name": name,
        "cores": cores,
        "memory": _checked(parse_size, memory, "--memory"),
        "max_output": _checked(parse_size, max_output, "--max-output"),
        "queue": queue,
        "priority": priority,
        "timeout": _checked(parse_span, timeout, "--timeout"),
        "retry": None if attempts is None else {"attempts": attempts},
    }


def _checked(parse: Any, text: str | None, option: str) -> str | None:
    """``text`` itself, if it is a quantity."""
    try:
        if text is not None:
            parse(text)
    except InvalidInputError as error:
        raise UsageError(f"{option}: {error.message}; {error.hint}") from error
    return text


def _place(text: str) -> Path | str:
    """A file of this machine, or the address of an object."""
    if "://" in text:
        return text
    path = Path(text).expanduser()
    if not path.is_file():
        raise UsageError(f"there is no file {text}")
    return path
