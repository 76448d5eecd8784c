"""How pipelines, their runs, plans and backfills look to people."""

from __future__ import annotations

from typing import Any

from dli.cli.output import print_facts, print_items, print_text, told
from dli.cli.session import Session

_SHOWN = {"name": "node", "kind": "kind", "after": "after", "when": "when"}
_SHOWN |= {"on_failure": "on failure", "retry": "retry"}
_NODES = {"name": "node", "state": "state", "job": "job", "attempt": "attempt"}
_NODES |= {"outputs.rows": "rows", "outputs.value.value": "value", "why": "why"}
_PLAN = {"name": "node", "kind": "kind", "after": "after", "price": "price", "unpriced": "no price"}
_PLAN |= {"when": "when"}
_DAYS = {"day": "day", "state": "state", "run": "run", "spent": "spent", "reason": "why"}


def print_pipeline(session: Session, found: dict[str, Any], *, name: str, revisions: int) -> None:
    """One of so many revisions: what is said of the whole, and its nodes in their order."""
    text = found["pipeline"]
    facts = {"pipeline": name, "revision": found["revision"], "of": revisions, "at": found["at"]}
    facts |= {each: text.get(each) for each in ("description", "queue", "max_cost", "timeout")}
    print_facts(session.out, facts | {"parallel": text["parallel"]})
    session.out.print()
    for parameter, meant in (text.get("parameters") or {}).items():
        print_text(session.out, f"{parameter}: {told(meant)}")
    nodes = [
        {
            **text["nodes"][node],
            "name": node,
            "after": _reasons(edge for edge in found["edges"] if edge["after"] == node),
        }
        for node in found["order"]
    ]
    print_items(session.out, nodes, _SHOWN)


def print_run(session: Session, found: dict[str, Any]) -> None:
    """A run, and how each of its nodes is doing."""
    facts = {name: found.get(name) for name in ("id", "name", "revision", "state", "cost")}
    print_facts(session.out, facts)
    session.out.print()
    nodes = [{**node, "why": _why(node)} for node in found["nodes"]]
    print_items(session.out, nodes, _NODES)


def _why(node: dict[str, Any]) -> str | None:
    """Why it failed, does not run yet, or never will."""
    for field, part in (("error", "message"), ("wait", "detail")):
        if node.get(field):
            return str(node[field][part])
    reason: str | None = node["reason"]
    return reason


def print_backfill(session: Session, found: dict[str, Any]) -> None:
    """A backfill, and what became of each day."""
    names = ("id", "pipeline", "revision", "state", "counts", "max_cost", "spent", "reason")
    print_facts(session.out, {name: found[name] for name in names})
    session.out.print()
    print_items(session.out, found["days"], _DAYS)


def print_plan(session: Session, plan: dict[str, Any]) -> None:
    """What a run would do, in which order, and for what price."""
    nodes = [{**node, "after": _reasons(node["after"])} for node in plan["nodes"]]
    print_items(session.out, nodes, _PLAN)
    session.out.print()
    least = "" if plan["complete"] else "at least "
    facts = {"price": f"{least}{told(plan['price'])}", "cap": plan["max_cost"]}
    print_facts(session.out, facts)


def print_diff(session: Session, found: dict[str, Any]) -> None:
    """What one revision has that another has not, a line each."""
    if found["same"]:
        session.out.print("no difference")
    lines = [f"+ node {name}" for name in found["added"]]
    lines += [f"- node {name}" for name in found["removed"]]
    lines += [_change(name, change) for name, change in found["fields"].items()]
    for node, fields in found["changed"].items():
        lines += [_change(f"{node}.{name}", change) for name, change in fields.items()]
    for line in lines:
        print_text(session.out, line)


def _change(name: str, change: dict[str, Any]) -> str:
    before, after = (told(change[side]) or "nothing" for side in ("before", "after"))
    return f"~ {name}: {before} -> {after}"


def _reasons(edges: Any) -> str:
    return ", ".join(f"{edge['before']} ({edge['reason']})" for edge in edges)
