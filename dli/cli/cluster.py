"""``dli cluster``: where runs are started."""

from __future__ import annotations

from typing import Any

import typer

from dli.cli.output import print_answer, print_facts, print_items
from dli.cli.session import JsonFlag, Session, session_of
from storage.base.quantities import format_size

app = typer.Typer(no_args_is_help=True, help="Look at clusters and drain them; for administrators.")


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """List the clusters: whether they answer, what they give and what of it is used.

    An engine is counted with all the cores that it may use, idle or not: engines share cores, so
    more may be used than there are.
    """
    session = session_of(context)
    print_answer(session, session.client.clusters(), _print_all, as_json=as_json)


@app.command("show")
def show(context: typer.Context, name: str, as_json: JsonFlag = False) -> None:
    """Tell all that is known of a cluster."""
    session = session_of(context)
    print_answer(session, session.client.cluster(name), _print_one, as_json=as_json)


@app.command("drain")
def drain(context: typer.Context, name: str) -> None:
    """Start nothing new there; what runs goes on, engines end when they are idle. See `undrain`."""
    session = session_of(context)
    cluster = session.client.drain_cluster(name)
    left = f"{cluster['runs']} runs and {cluster['engines']} engines are left"
    session.say(f"cluster {name} is drained: {left}")


@app.command("undrain")
def undrain(context: typer.Context, name: str) -> None:
    """Let a drained cluster take new work again."""
    session = session_of(context)
    session.client.undrain_cluster(name)
    session.say(f"cluster {name} is open")


def _print_all(session: Session, clusters: list[dict[str, Any]]) -> None:
    columns = {name: name for name in _shown({})}
    print_items(session.out, [_shown(cluster) for cluster in clusters], columns)
    _explain(session, clusters)


def _print_one(session: Session, cluster: dict[str, Any]) -> None:
    print_facts(session.out, _shown(cluster))
    _explain(session, [cluster])


def _explain(session: Session, clusters: list[dict[str, Any]]) -> None:
    """Why more cores may be used than there are."""
    full = [each["name"] for each in clusters if shares_cores(each)]
    if full:
        session.say(f"{', '.join(full)}: engines share cores, and each is counted with all of its")


def shares_cores(cluster: dict[str, Any]) -> bool:
    """Whether what is there holds more cores than it has."""
    there = cluster.get("capacity")
    return there is not None and cluster["used"]["cores"] > there["cores"]


def _shown(cluster: dict[str, Any]) -> dict[str, Any]:
    """As people read it."""
    answers = cluster.get("answers")
    drained = f"by {cluster['drained_by']}" if cluster.get("drained") else None
    return {
        "cluster": cluster.get("name"),
        "answers": None if answers is None else "yes" if answers else "no",
        "capacity": _amounts(cluster.get("capacity")),
        "used": _amounts(cluster.get("used")),
        "runs": cluster.get("runs"),
        "engines": cluster.get("engines"),
        "drained": drained,
        "drained at": cluster.get("drained_at"),
    }


def _amounts(given: dict[str, Any] | None) -> str | None:
    if given is None:
        return "unknown"
    return f"{given['cores']:g} cores, {format_size(given['memory_bytes'])}"
