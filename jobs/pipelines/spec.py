"""What a pipeline is, as values. How one is read from what a file holds is in ``reading``.

What ``to_json`` gives is canonical: equal pipelines give equal JSON, in whatever order or form
they were written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from jobs.pipelines.conditions import Condition
from jobs.pipelines.references import Place, find
from storage.base.quantities import format_span

MOST_ATTEMPTS: Final = 10
DEFAULT_PARALLEL: Final = 8
#: The label that every run and its jobs carry; its value is the pipeline's name.
LABEL: Final = "pipeline"
_NANOS: Final = 9
FAIL, CONTINUE = "fail", "continue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A value that a run is given. ``default`` is JSON as ``values.read_value`` gives it."""

    type: str
    default: Any = None
    required: bool = True  #: a run must name it
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRetry:
    """How often a node's job is submitted; the pause before each further one doubles."""

    attempts: int = 1
    pause: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A job of the pipeline, and when it runs.

    ``on_failure`` is ``fail``, ``continue``, or the name of a node that runs when this one failed,
    and only then. ``document`` is what is submitted, with references in it.
    """

    document: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    retry: NodeRetry = NodeRetry()
    when: Condition | None = None
    on_failure: str = FAIL

    @property
    def kind(self) -> str:
        """Of its job."""
        return str(self.document["kind"])

    @property
    def handler(self) -> str | None:
        """The node that runs when this one failed."""
        return None if self.on_failure in (FAIL, CONTINUE) else self.on_failure

    def places(self) -> tuple[Place, ...]:
        """All references in the document."""
        return find(self.document)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A plan of jobs. ``nodes`` and ``parameters`` are in the order of their names."""

    name: str
    nodes: Mapping[str, Node]
    description: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    queue: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    max_cost: int | None = None  #: nanos, of a whole run
    timeout: timedelta | None = None  #: of a whole run
    parallel: int = DEFAULT_PARALLEL  #: nodes that run at the same time

    @property
    def handlers(self) -> Mapping[str, tuple[str, ...]]:
        """Nodes that run only after a failure, and of which nodes."""
        found: dict[str, tuple[str, ...]] = {}
        for name, node in self.nodes.items():
            if node.handler is not None:
                found[node.handler] = (*found.get(node.handler, ()), name)
        return found


def to_json(pipeline: Pipeline) -> dict[str, Any]:
    """The canonical mapping, from which ``read`` makes an equal pipeline."""
    told: dict[str, Any] = {
        "name": pipeline.name,
        "description": pipeline.description or None,
        "parameters": {name: _parameter_json(each) for name, each in pipeline.parameters.items()},
        "queue": pipeline.queue,
        "labels": dict(pipeline.labels),
        "max_cost": None if pipeline.max_cost is None else money_text(pipeline.max_cost),
        "timeout": None if pipeline.timeout is None else format_span(pipeline.timeout),
        "parallel": pipeline.parallel,
        "nodes": {name: node_json(node) for name, node in pipeline.nodes.items()},
    }
    return {name: value for name, value in told.items() if value not in (None, {})}


def node_json(node: Node) -> dict[str, Any]:
    """One node as it stands in the canonical mapping."""
    told = dict(node.document)
    if node.needs:
        told["needs"] = list(node.needs)
    if node.retry != NodeRetry():
        pause = format_span(node.retry.pause)
        told["retry"] = {"attempts": node.retry.attempts, "pause": pause}
    if node.when is not None:
        told["when"] = node.when.text
    if node.on_failure != FAIL:
        told["on_failure"] = node.on_failure
    return told


def fingerprint(told: Mapping[str, Any]) -> str:
    """A hash of canonical JSON: equal exactly for equal pipelines."""
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def money_text(nanos: int) -> str:
    """``0.05`` for 50,000,000 nanos."""
    return f"{Decimal(nanos).scaleb(-_NANOS).normalize():f}"


def _parameter_json(parameter: Parameter) -> dict[str, Any]:
    told: dict[str, Any] = {"type": parameter.type, "required": parameter.required}
    if parameter.default is not None:
        told["default"] = parameter.default
    if parameter.description:
        told["description"] = parameter.description
    return told
