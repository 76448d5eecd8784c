"""``dli history``: what a program or statement used before, and the size of its next run."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from dli.cli.output import print_answer, print_facts, print_items, size
from dli.cli.parameters import checked_size
from dli.cli.session import JsonFlag, Session, UsageError, session_of
from storage.base.quantities import format_size

app = typer.Typer(no_args_is_help=True, help="Look at what programs used, and set their size.")

What = Annotated[
    str, typer.Argument(metavar="JOB", help="A job, or a fingerprint.", show_default=False)
]
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_PAST = {"ended_at": "ended", "job": "job", "attempt": "attempt", "outcome": "outcome"}
_PAST |= {"seconds": "seconds", "cpu_seconds": "CPU seconds", "peak_memory": "peak memory"}
_PAST |= {"memory_bytes": "reserved", "spill_bytes": "spilled"}


@app.command("show")
def show(context: typer.Context, what: What, as_json: JsonFlag = False) -> None:
    """Show what the runs of a job's program or statement used, and what the next one gets."""
    session = session_of(context)
    found = session.client.history.get(_fingerprint(session, what))
    print_answer(session, found, _print, as_json=as_json)


@app.command("set")
def set_(
    context: typer.Context,
    what: What,
    memory: Annotated[str, typer.Option(help="As 6GiB, of the whole job.")],
    cores: Annotated[int, typer.Option(min=1)] = 1,
    as_json: JsonFlag = False,
) -> None:
    """Let its next runs that name no size have this one. Example: `… set bat_… --memory 6GiB`"""
    session = session_of(context)
    checked_size("--memory", memory)
    which = _fingerprint(session, what)
    made = session.client.history.set_size(which, memory=memory, cores=cores)
    print_answer(session, made, _print, as_json=as_json)


@app.command("unset")
def unset(context: typer.Context, what: What, as_json: JsonFlag = False) -> None:
    """Go by what its runs use again."""
    session = session_of(context)
    made = session.client.history.unset_size(_fingerprint(session, what))
    print_answer(session, made, _print, as_json=as_json)


def _fingerprint(session: Session, what: str) -> str:
    if _FINGERPRINT.fullmatch(what):
        return what
    found = session.client.explain_job(what)["fingerprint"]
    if found is None:
        raise UsageError(f"{what} is a run of a pipeline: ask for the job of one of its nodes")
    return str(found)


def _print(session: Session, found: dict[str, Any]) -> None:
    next_ = found["next"]
    size = None
    if next_ is not None:
        size = f"{next_['cores']} cores, {format_size(next_['memory_bytes'])}: {next_['reason']}"
    print_facts(session.out, {"fingerprint": found["fingerprint"], "next size": size or "default"})
    if found["past"]:
        session.out.print()
        print_items(session.out, [_with_sizes(each) for each in found["past"]], _PAST)


def _with_sizes(past: dict[str, Any]) -> dict[str, Any]:
    """A run with its bytes as people read them."""
    told = {name: past.get(name) for name in ("peak_memory", "memory_bytes", "spill_bytes")}
    return past | {name: None if each is None else size(each) for name, each in told.items()}
