"""``dli queue``: where jobs wait, and what they may use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from dli.cli import canary
from dli.cli.output import print_facts, print_items, print_json
from dli.cli.parameters import parse_labels
from dli.cli.session import JsonFlag, UsageError, session_of
from storage.base.errors import InvalidInputError
from storage.base.quantities import parse_size

app = typer.Typer(no_args_is_help=True, help="Create, change, drain and look at queues.")
app.add_typer(canary.app, name="canary")

Engine = Annotated[str | None, typer.Option(help="Engine of those who name none: sail or spark.")]
Engines = Annotated[str | None, typer.Option(help="Engines that may be asked for, by commas.")]
Kinds = Annotated[
    str | None, typer.Option(help="Kinds that it takes, by commas: statement, batch, …")
]
Conf = Annotated[
    list[str] | None, typer.Option(help="Setting of Spark that batches may give; repeatable.")
]
MaxRunning = Annotated[int | None, typer.Option(min=1, help="Jobs that compute at once.")]
PerUser = Annotated[int | None, typer.Option(min=1, help="Of one user, likewise.")]
MaxWaiting = Annotated[int | None, typer.Option(min=0, help="Jobs that may wait.")]
MinCu = Annotated[int | None, typer.Option(min=0, help="Compute units that are kept warm.")]
MaxCu = Annotated[int | None, typer.Option(min=1, help="Compute units at once.")]
Priorities = Annotated[str | None, typer.Option(help="Least and highest priority, as -5:5.")]
Priority = Annotated[int | None, typer.Option(help="Priority of jobs that name none.")]
Timeout = Annotated[str | None, typer.Option(help="Time of jobs that name none, as 10m.")]
MaxTimeout = Annotated[str | None, typer.Option(help="The most that a job may ask for, as 6h.")]
Overcommit = Annotated[
    int | None, typer.Option(min=100, help="Per cent of its reservation that a job may use.")
]
Weight = Annotated[int | None, typer.Option(min=1, help="Its share where not all can run.")]
UserWeights = Annotated[
    list[str] | None,
    typer.Option(
        "--user-weight",
        help="USER=2: twice the part of others in this queue; repeatable, all anew.",
    ),
]
MaxBytes = Annotated[str | None, typer.Option(help="Most bytes a statement may process.")]
MaxCost = Annotated[str | None, typer.Option(help="Highest price of a job, as 0.50.")]
Budget = Annotated[str | None, typer.Option(help="Most money of its jobs in a month, as 100.")]
Pods = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="File of JSON: `pods` of the API.")
]
Cluster = Annotated[
    list[str] | None,
    typer.Option(
        "--cluster",
        help="EU=3: three parts of its work in cluster EU; repeatable, all anew; `all`: in all.",
    ),
]
Guard = Annotated[list[str] | None, typer.Option(help="RULE=off, warn or refuse; repeatable.")]
PriceClass = Annotated[str | None, typer.Option(help="Whose prices of the list apply.")]


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the queues of the project with their limits."""
    session = session_of(context)
    with session.client() as client:
        items = client.queues()
    if as_json:
        print_json(session.out, items)
        return
    columns = {
        "name": "queue",
        "state": "state",
        "default_engine": "engine",
        "max_running": "max running",
        "max_waiting": "max waiting",
        "max_cu": "max CU",
        "timeout": "timeout",
        "guard_levels": "guard",
        "max_bytes": "max bytes",
        "max_cost": "max cost",
        "price_class": "price class",
    }
    print_items(session.out, items, columns)


@app.command("show")
def show(context: typer.Context, name: str, as_json: JsonFlag = False) -> None:
    """Tell all limits of a queue, and what it does now: by user who runs and who waits."""
    session = session_of(context)
    with session.client() as client:
        queue = client.queue(name)
    if as_json:
        print_json(session.out, queue)
        return
    load = queue.pop("load")
    print_facts(session.out, {title.replace("_", " "): _told(queue[title]) for title in queue})
    session.out.print()
    now = {name: load[name] for name in ("running", "waiting")} | {"CU in use": load["cu"]}
    print_facts(session.out, now)
    if load["users"]:
        session.out.print()
        columns = {"name": "user", "weight": "weight", "running": "running", "waiting": "waiting"}
        print_items(session.out, load["users"], columns)


@app.command("create")
def create(
    context: typer.Context,
    name: str,
    engine: Engine = None,
    engines: Engines = None,
    kinds: Kinds = None,
    allow_conf: Conf = None,
    max_running: MaxRunning = None,
    max_running_per_user: PerUser = None,
    max_waiting: MaxWaiting = None,
    min_cu: MinCu = None,
    max_cu: MaxCu = None,
    priorities: Priorities = None,
    priority: Priority = None,
    timeout: Timeout = None,
    max_timeout: MaxTimeout = None,
    overcommit: Overcommit = None,
    weight: Weight = None,
    user_weight: UserWeights = None,
    max_bytes: MaxBytes = None,
    max_cost: MaxCost = None,
    budget: Budget = None,
    pods: Pods = None,
    cluster: Cluster = None,
    guard: Guard = None,
    price_class: PriceClass = None,
) -> None:
    """Create a queue. Example: `dli queue create nightly --engine spark --max-running 2`"""
    given = _fields(locals())
    session = session_of(context)
    with session.client() as client:
        client.create_queue(name, **_placed(given, given["pods"] or {}, cluster))
    session.say(f"queue {name} created")


@app.command("update")
def update(
    context: typer.Context,
    name: str,
    engine: Engine = None,
    engines: Engines = None,
    kinds: Kinds = None,
    allow_conf: Conf = None,
    max_running: MaxRunning = None,
    max_running_per_user: PerUser = None,
    max_waiting: MaxWaiting = None,
    min_cu: MinCu = None,
    max_cu: MaxCu = None,
    priorities: Priorities = None,
    priority: Priority = None,
    timeout: Timeout = None,
    max_timeout: MaxTimeout = None,
    overcommit: Overcommit = None,
    weight: Weight = None,
    user_weight: UserWeights = None,
    max_bytes: MaxBytes = None,
    max_cost: MaxCost = None,
    budget: Budget = None,
    pods: Pods = None,
    cluster: Cluster = None,
    guard: Guard = None,
    price_class: PriceClass = None,
) -> None:
    """Change limits of a queue; what is not named stays. No job is lost by it."""
    changes = _fields(locals())
    if cluster is None and all(value is None for value in changes.values()):
        raise UsageError("nothing to change: name a limit, as --max-running 4")
    session = session_of(context)
    with session.client() as client:
        if cluster is not None:
            pods_now = changes["pods"] or client.queue(name)["pods"]
            changes = _placed(changes, pods_now, cluster)
        client.update_queue(name, **changes)
    session.say(f"queue {name} updated")


@app.command("drain")
def drain(
    context: typer.Context,
    name: str,
    close: Annotated[
        bool, typer.Option("--close", help="Start none of those that wait either; they are kept.")
    ] = False,
) -> None:
    """Take no new jobs; those that wait and run still come to their end. See `resume`."""
    session = session_of(context)
    with session.client() as client:
        client.update_queue(name, state="closed" if close else "draining")
        load = client.queue(name)["load"]
    left = f"{load['running']} run, {load['waiting']} wait"
    session.say(f"queue {name} is {'closed' if close else 'drained'}: {left}")


@app.command("resume")
def resume(context: typer.Context, name: str) -> None:
    """Open a queue again that was drained or closed."""
    session = session_of(context)
    with session.client() as client:
        client.update_queue(name, state="open")
    session.say(f"queue {name} is open")


@app.command("delete")
def delete(context: typer.Context, name: str) -> None:
    """Delete a queue that no job waits or runs in."""
    session = session_of(context)
    with session.client() as client:
        client.delete_queue(name)
    session.say(f"queue {name} deleted")


#: Options whose field has another name.
_NAMES = {
    "engine": "default_engine",
    "allow_conf": "conf_allowed",
    "guard": "guard_levels",
    "priority": "default_priority",
    "budget": "monthly_budget",
    "user_weight": "user_weights",
}


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a command by the names of the API; what was not given is None."""
    given = {
        _NAMES.get(name, name): value
        for name, value in options.items()
        if name not in ("context", "name", "priorities", "cluster")
    }
    least, highest = _priorities(options["priorities"])
    return given | {
        "engines": _words(options["engines"]),
        "kinds": _words(options["kinds"]),
        "guard_levels": parse_labels(options["guard"] or (), "--guard"),
        "user_weights": _weights(options["user_weight"]),
        "max_bytes": _bytes(options["max_bytes"]),
        "pods": _pods(options["pods"]),
        "min_priority": least,
        "max_priority": highest,
    }


def _placed(
    fields: dict[str, Any], pods: dict[str, Any], clusters: list[str] | None
) -> dict[str, Any]:
    """With the weights of clusters in what the queue says of ``pods``."""
    if clusters is None:
        return fields
    weights = {} if clusters == ["all"] else _weights(clusters, "--cluster")
    return fields | {"pods": {**pods, "clusters": weights or {}}}


def _words(text: str | None) -> list[str] | None:
    return None if text is None else [word.strip() for word in text.split(",") if word.strip()]


def _weights(given: list[str] | None, option: str = "--user-weight") -> dict[str, int] | None:
    try:
        weights = parse_labels(given or (), option) or {}
        return {name: int(weight) for name, weight in weights.items()} or None
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


def _bytes(text: str | None) -> int | None:
    try:
        return None if text is None else parse_size(text)
    except InvalidInputError as error:
        raise UsageError(f"--max-bytes: {error.message}; {error.hint}") from error


def _pods(path: Path | None) -> Any:
    try:
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"--pods: {path} is no JSON: {error}") from error


def _told(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items() if each)
    return ", ".join(str(each) for each in value) if isinstance(value, list) else value
