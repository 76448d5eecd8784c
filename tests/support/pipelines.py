"""Pipelines for tests, as the mappings that their files hold."""

from __future__ import annotations

from typing import Any

from jobs.pipelines.graph import Graph, build
from jobs.pipelines.spec import Pipeline, read


def statement(sql: str = "SELECT 1", **fields: Any) -> dict[str, Any]:
    """A node that is a statement."""
    return {"kind": "statement", "sql": sql, **fields}


def make_pipeline(nodes: dict[str, Any], **fields: Any) -> Pipeline:
    """A pipeline of these nodes."""
    return read({"name": "daily", "nodes": nodes, **fields})


def make_graph(nodes: dict[str, Any], **fields: Any) -> Graph:
    """Its graph."""
    return build(make_pipeline(nodes, **fields), database="default")


#: Everything that a pipeline can say.
FULL: dict[str, Any] = {
    "name": "daily",
    "description": "Orders of one day.",
    "parameters": {
        "day": {"type": "date"},
        "least": {"type": "int", "default": 10, "description": "Rows that are enough."},
        "note": "string",
    },
    "queue": "default",
    "labels": {"team": "sales"},
    "max_cost": "1.50",
    "timeout": "2h",
    "parallel": 3,
    "nodes": {
        "load": statement(
            "CREATE OR REPLACE TABLE sales.day AS SELECT * FROM sales.raw WHERE day = :day",
            parameters={"day": {"ref": "params.day"}},
            retry={"attempts": 3, "pause": "10s"},
            timeout="10m",
            on_failure="tell",
        ),
        "count": statement("SELECT count(*) AS n FROM sales.day"),
        "export": {
            "kind": "task",
            "command": ["cp", {"join": ["out-", {"ref": "params.day"}]}],
            "needs": ["load"],
            "when": "nodes.count.result.value >= params.least and succeeded(count)",
            "on_failure": "continue",
        },
        "tell": statement("SELECT :id AS id", parameters={"id": {"ref": "nodes.load.job_id"}}),
    },
}
