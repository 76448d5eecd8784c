"""``dli queue``: where jobs wait, and what they may use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from dli.cli import canary
from dli.cli.bounds import NONE, Bound, changes_of, count, lifted
from dli.cli.options import grouped
from dli.cli.output import print_answer, print_facts, print_items, print_list, told
from dli.cli.parameters import (
    checked_amount,
    checked_span,
    parse_bytes,
    parse_labels,
    parse_words,
    read_file,
)
from dli.cli.session import JsonFlag, Session, UsageError, session_of

app = typer.Typer(no_args_is_help=True, help="Create, change, drain and look at queues.")
app.add_typer(canary.app, name="canary")

_COLUMNS = {"name": "queue", "state": "state", "default_engine": "engine"}
_COLUMNS |= {"max_running": "max running", "max_waiting": "max waiting", "max_cu": "max CU"}
_COLUMNS |= {"timeout": "timeout", "guard_levels": "guard", "max_bytes": "max bytes"}
_COLUMNS |= {"max_cost": "max cost", "price_class": "price class"}
_USERS = {"name": "user", "weight": "weight", "running": "running", "waiting": "waiting"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a queue may be told; None leaves it as it is, or as the service has it.

    Bounds that a queue may be without are texts, as ``none`` takes them away.
    """

    engine: Annotated[str | None, Option(help="Engine of those who name none: sail or spark.")] = (
        None
    )
    engines: Annotated[str | None, Option(help="Engines that may be asked for, by commas.")] = None
    kinds: Annotated[
        str | None, Option(help="Kinds that it takes, by commas: statement, batch, …")
    ] = None
    allow_conf: Annotated[
        list[str] | None,
        Option(help="Setting of Spark that batches may give; repeatable, all anew; or `none`."),
    ] = None
    max_running: Annotated[str | None, Option(help="Jobs that compute at once.")] = None
    max_running_per_user: Annotated[
        str | None, Option(help="Of one user, likewise; `none`: as many as of all.")
    ] = None
    max_waiting: Annotated[str | None, Option(help="Jobs that may wait.")] = None
    min_cu: Annotated[int | None, Option(min=0, help="Compute units that are kept warm.")] = None
    max_cu: Annotated[str | None, Option(help="Compute units at once; `none`: no limit.")] = None
    priorities: Annotated[str | None, Option(help="Least and highest priority, as -5:5.")] = None
    priority: Annotated[int | None, Option(help="Priority of jobs that name none.")] = None
    timeout: Annotated[str | None, Option(help="Time of jobs that name none, as 10m.")] = None
    max_timeout: Annotated[
        str | None, Option(help="The most that a job may ask for, as 6h; `none`: its --timeout.")
    ] = None
    overcommit: Annotated[
        int | None, Option(min=100, help="Per cent of its reservation that a job may use.")
    ] = None
    weight: Annotated[int | None, Option(min=1, help="Its share where not all can run.")] = None
    user_weight: Annotated[
        list[str] | None,
        Option(help="USER=2: twice the part of others here; repeatable, all anew; or `none`."),
    ] = None
    max_bytes: Annotated[
        str | None, Option(help="Most bytes a statement may process, as 10GB; `none`: no limit.")
    ] = None
    max_cost: Annotated[
        str | None, Option(help="Highest price of a job, as 0.50; `none`: no limit.")
    ] = None
    budget: Annotated[
        str | None, Option(help="Most money of its jobs in a month, as 100; `none`: no limit.")
    ] = None
    pods: Annotated[
        str | None, Option(help="File of JSON: `pods` of the API; `none`: as the service has them.")
    ] = None
    cluster: Annotated[
        list[str] | None,
        Option(
            help="EU=3: three parts of its work in cluster EU; repeatable, all anew; `all`: in all."
        ),
    ] = None
    guard: Annotated[
        list[str] | None,
        Option(help="RULE=off, warn or refuse; repeatable, all anew; or `none`."),
    ] = None
    price_class: Annotated[str | None, Option(help="Whose prices of the list apply.")] = None

    def fields(self) -> dict[str, Any]:
        """What was given, by the names of the API; None takes away.

        Not ``cluster``, which is part of ``pods``.
        """
        least, highest = _priorities(self.priorities)
        fields = {
            "default_engine": self.engine,
            "engines": parse_words(self.engines),
            "kinds": parse_words(self.kinds),
            "conf_allowed": [] if lifted(self.allow_conf) else self.allow_conf,
            "min_cu": self.min_cu,
            "min_priority": least,
            "max_priority": highest,
            "default_priority": self.priority,
            "overcommit": self.overcommit,
            "weight": self.weight,
            "user_weights": _weights("--user-weight", self.user_weight),
            "pods": _pods(self.pods),
            "guard_levels": {} if lifted(self.guard) else parse_labels(self.guard, "--guard"),
            "price_class": self.price_class,
        }
        return {name: value for name, value in fields.items() if value is not None} | changes_of(
            Bound("max_running", "--max-running", self.max_running, count(least=1), always=True),
            Bound("max_waiting", "--max-waiting", self.max_waiting, count(least=0), always=True),
            Bound("timeout", "--timeout", self.timeout, checked_span, always=True),
            Bound(
                "max_running_per_user",
                "--max-running-per-user",
                self.max_running_per_user,
                count(least=1),
            ),
            Bound("max_cu", "--max-cu", self.max_cu, count(least=1)),
            Bound("max_timeout", "--max-timeout", self.max_timeout, checked_span),
            Bound("max_bytes", "--max-bytes", self.max_bytes, parse_bytes),
            Bound("max_cost", "--max-cost", self.max_cost, checked_amount),
            Bound("monthly_budget", "--budget", self.budget, checked_amount),
        )

    def clusters(self) -> dict[str, int] | None:
        """Weights of clusters, none for all alike; None where nothing is said."""
        if self.cluster is None:
            return None
        return {} if self.cluster == ["all"] else _weights("--cluster", self.cluster)


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the queues of the project with their limits."""
    session = session_of(context)
    print_list(session, session.client.queues(), _COLUMNS, as_json=as_json)


@app.command("show")
def show(context: typer.Context, name: str, as_json: JsonFlag = False) -> None:
    """Tell all limits of a queue, and what it does now: by user who runs and who waits."""
    session = session_of(context)
    print_answer(session, session.client.queue(name), _print, as_json=as_json)


@app.command("create")
@grouped
def create(context: typer.Context, name: str, limits: Limits) -> None:
    """Create a queue. Example: `dli queue create nightly --engine spark --max-running 2`"""
    session = session_of(context)
    fields, clusters = limits.fields(), limits.clusters()
    if clusters is not None:
        fields["pods"] = {**fields.get("pods", {}), "clusters": clusters}
    session.client.create_queue(name, **fields)
    session.say(f"queue {name} created")


@app.command("update")
@grouped
def update(context: typer.Context, name: str, limits: Limits) -> None:
    """Change limits of a queue; what is not named stays. No job is lost by it.

    `none` takes a limit away. Example: `dli queue update nightly --max-cost none`
    """
    session = session_of(context)
    changes, clusters = limits.fields(), limits.clusters()
    if clusters is None and not changes:
        raise UsageError("nothing to change: name a limit, as --max-running 4")
    if clusters is not None:
        pods = changes["pods"] if "pods" in changes else session.client.queue(name)["pods"]
        changes["pods"] = {**pods, "clusters": clusters}
    session.client.update_queue(name, **changes)
    session.say(f"queue {name} updated")


@app.command("drain")
def drain(
    context: typer.Context,
    name: str,
    close: Annotated[
        bool, Option("--close", help="Start none of those that wait either; they are kept.")
    ] = False,
) -> None:
    """Take no new jobs; those that wait and run still come to their end. See `resume`."""
    session = session_of(context)
    session.client.update_queue(name, state="closed" if close else "draining")
    load = session.client.queue(name)["load"]
    left = f"{load['running']} run, {load['waiting']} wait"
    session.say(f"queue {name} is {'closed' if close else 'drained'}: {left}")


@app.command("resume")
def resume(context: typer.Context, name: str) -> None:
    """Open a queue again that was drained or closed."""
    session = session_of(context)
    session.client.update_queue(name, state="open")
    session.say(f"queue {name} is open")


@app.command("delete")
def delete(context: typer.Context, name: str) -> None:
    """Delete a queue that no job waits or runs in."""
    session = session_of(context)
    session.client.delete_queue(name)
    session.say(f"queue {name} deleted")


def _print(session: Session, queue: dict[str, Any]) -> None:
    load = queue["load"]
    limits = {name.replace("_", " "): _told(queue[name]) for name in queue if name != "load"}
    print_facts(session.out, limits)
    session.out.print()
    now = {name: load[name] for name in ("running", "waiting")} | {"CU in use": load["cu"]}
    print_facts(session.out, now)
    if load["users"]:
        session.out.print()
        print_items(session.out, load["users"], _USERS)


def _weights(option: str, given: list[str] | None) -> dict[str, int] | None:
    """Empty for ``none``; None for nothing given."""
    if lifted(given):
        return {}
    try:
        weights = parse_labels(given, option)
        return None if weights is None else {name: int(each) for name, each in weights.items()}
    except ValueError as error:
        raise UsageError(f"{option}: write NAME=2, a whole number") from error


def _priorities(text: str | None) -> tuple[int | None, int | None]:
    if text is None:
        return None, None
    try:
        least, highest = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise UsageError("--priorities: write the least and the highest, as -5:5") from error
    return least, highest


def _pods(path: str | None) -> Any:
    if path is None or path == NONE:
        return None if path is None else {}
    try:
        return json.loads(read_file(Path(path)))
    except ValueError as error:
        raise UsageError(f"--pods: {path} is no JSON: {error}") from error


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        said = {name: each for name, each in value.items() if each not in (None, {})}
        return ", ".join(f"{name}={told(each)}" for name, each in said.items())
    return ", ".join(str(each) for each in value) if isinstance(value, list) else value
