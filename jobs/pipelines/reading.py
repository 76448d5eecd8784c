"""A pipeline from the mapping that a file holds.

Reading finds all faults at once and names each by its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Final

from jobs.pipelines import conditions
from jobs.pipelines.conditions import Condition, ConditionError
from jobs.pipelines.errors import Fault, PipelineInvalidError
from jobs.pipelines.references import OUTPUTS, Ref, find
from jobs.pipelines.spec import (
    CONTINUE,
    DEFAULT_PARALLEL,
    FAIL,
    LABEL,
    MOST_ATTEMPTS,
    Node,
    NodeRetry,
    Parameter,
    Pipeline,
)
from jobs.pipelines.values import TYPES, known_type, read_value
from storage.base.errors import ServiceError
from storage.base.quantities import InvalidAmountError, QuantityError, parse_amount, parse_span

MOST_NODES: Final = 500
MOST_PARALLEL: Final = 100
MOST_BYTES: Final = 1_000_000
KINDS: Final = ("statement", "batch", "task", "pipeline")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_INNER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_FIELDS = (
    "name", "description", "parameters", "nodes", "queue", "labels", "max_cost", "timeout",
    "parallel",
)  # fmt: skip
_NODE_FIELDS = ("needs", "retry", "when", "on_failure")


def read(given: Mapping[str, Any], *, name: str | None = None) -> Pipeline:
    """The pipeline of a mapping; ``name`` is the one that it must have, or has if it names none.

    Raises ``PipelineInvalidError`` with all faults.
    """
    reader = _Reader()
    pipeline = reader.pipeline(given, name)
    if reader.faults or pipeline is None:
        raise PipelineInvalidError.of(reader.faults)
    return pipeline


class _Reader:
    """Reads one mapping; what is wrong is gathered in ``faults``."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def pipeline(self, given: Mapping[str, Any], name: str | None) -> Pipeline | None:
        self._known(given, _FIELDS, "")
        self._size(given)
        called = self._name(given.get("name", name), name)
        parameters = self._parameters(given.get("parameters"))
        nodes = self._nodes(given.get("nodes"))
        for node_name, node in nodes.items():
            self._check_node(node_name, node, nodes, parameters)
        made = Pipeline(
            name=called,
            nodes=nodes,
            description=self._text(given, "description") or "",
            parameters=parameters,
            queue=self._text(given, "queue"),
            labels=self._labels(given.get("labels")),
            max_cost=self._money(given, "max_cost"),
            timeout=self._span(given, "timeout", "timeout"),
            parallel=self._count(given, "parallel", DEFAULT_PARALLEL, MOST_PARALLEL),
        )
        self._check_handlers(made)
        return made

    def fault(self, field_: str, message: str, hint: str | None = None) -> None:
        self.faults.append(Fault(field=field_, message=message, hint=hint))

    def _size(self, given: Mapping[str, Any]) -> None:
        try:
            size = len(json.dumps(given, allow_nan=False))
            json.dumps(given, ensure_ascii=False).encode()  # fails for half of a character
        except (TypeError, ValueError):
            self.fault("body", "holds values that JSON has no form for")
            return
        if size > MOST_BYTES:
            self.fault("body", f"has more than {MOST_BYTES} bytes")

    def _name(self, given: object, wanted: str | None) -> str:
        if not isinstance(given, str) or not _NAME.fullmatch(given):
            self.fault("name", "is 1 to 63 letters, digits, _ and -, and starts with a letter")
            return ""
        if wanted is not None and given != wanted:
            self.fault("name", f"is {given!r}, and {wanted!r} is to be applied")
        return given

    def _known(self, given: Mapping[Any, Any], known: tuple[str, ...], path: str) -> None:
        for name in given:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
                self.fault(f"{path}{name}", "is not a known field", hint)

    def _text(self, given: Mapping[str, Any], name: str) -> str | None:
        value = given.get(name)
        if value is not None and not isinstance(value, str):
            self.fault(name, "is no text")
            return None
        return value

    def _labels(self, given: object) -> dict[str, str]:
        if given is None:
            return {}
        if not isinstance(given, Mapping) or not all(
            isinstance(name, str) and isinstance(value, str) for name, value in given.items()
        ):
            self.fault("labels", "is a mapping of texts")
            return {}
        if LABEL in given:
            self.fault(f"labels.{LABEL}", "is set by the service: it is the pipeline's name")
        return dict(sorted(given.items()))

    def _money(self, given: Mapping[str, Any], name: str) -> int | None:
        value = given.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.fault(name, 'money is text, such as "0.05"')
            return None
        try:
            return parse_amount(value)
        except InvalidAmountError as error:
            self.fault(name, error.message, error.hint)
            return None

    def _span(self, given: Mapping[str, Any], name: str, path: str) -> timedelta | None:
        value = given.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.fault(path, "is not a span; write it like 500ms, 30s, 5m or 2h")
            return None
        try:
            return parse_span(value)
        except QuantityError as error:
            self.fault(path, error.message, error.hint)
            return None

    def _count(self, given: Mapping[str, Any], name: str, default: int, most: int) -> int:
        value = given.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            self.fault(name, f"is a number from 1 to {most}")
            return default
        return value

    def _parameters(self, given: object) -> dict[str, Parameter]:
        if given is None:
            return {}
        if not isinstance(given, Mapping):
            self.fault("parameters", "is a mapping of names to what each is")
            return {}
        found: dict[str, Parameter] = {}
        for name, inner in sorted(given.items(), key=lambda item: str(item[0])):
            path = f"parameters.{name}"
            if not isinstance(name, str) or not _INNER_NAME.fullmatch(name):
                self.fault(path, "is no name: letters, digits and _, and no digit in front")
            else:
                found[name] = self._parameter(inner, path)
        return found

    def _parameter(self, given: object, path: str) -> Parameter:
        if isinstance(given, str):
            given = {"type": given}
        if not isinstance(given, Mapping):
            self.fault(path, "is a type, or a mapping with type, default and required")
            return Parameter(type="string")
        self._known(given, ("type", "default", "required", "description"), f"{path}.")
        type_ = known_type(str(given.get("type", "string")))
        if type_ is None:
            near = get_close_matches(str(given["type"]), TYPES, n=1)
            hint = f"did you mean {near[0]}?" if near else None
            known = ", ".join(TYPES)
            self.fault(f"{path}.type", f"is none of {known} and decimal(p,s)", hint)
            return Parameter(type="string")
        default = given.get("default")
        try:
            default = read_value(type_, default)
        except ValueError as error:
            self.fault(f"{path}.default", str(error))
            default = None
        required = given.get("required", default is None)
        if not isinstance(required, bool):
            self.fault(f"{path}.required", "is true or false")
            required = True
        told = given.get("description", "")
        if not isinstance(told, str):
            self.fault(f"{path}.description", "is no text")
            told = ""
        return Parameter(type=type_, default=default, required=required, description=told)

    def _nodes(self, given: object) -> dict[str, Node]:
        if not isinstance(given, Mapping) or not given:
            self.fault("nodes", "is a mapping of names to jobs, at least one")
            return {}
        if len(given) > MOST_NODES:
            self.fault("nodes", f"there are more than {MOST_NODES}")
            return {}
        found: dict[str, Node] = {}
        for name, inner in sorted(given.items(), key=lambda item: str(item[0])):
            path = f"nodes.{name}"
            if not isinstance(name, str) or not _INNER_NAME.fullmatch(name):
                self.fault(path, "is no name: letters, digits and _, and no digit in front")
            elif name in (FAIL, CONTINUE):
                self.fault(path, "is a word of on_failure, and no name")
            elif not isinstance(inner, Mapping):
                self.fault(path, "is a job: a mapping with kind and the fields of that kind")
            else:
                found[name] = self._node(inner, path)
        return found

    def _node(self, given: Mapping[str, Any], path: str) -> Node:
        document = {name: value for name, value in given.items() if name not in _NODE_FIELDS}
        if "kind" not in document and "sql" in document:
            document["kind"] = "statement"
        kind = document.get("kind")
        if kind not in KINDS:
            near = get_close_matches(str(kind), KINDS, n=1)
            hint = f"did you mean {near[0]}?" if kind is not None and near else None
            self.fault(f"{path}.kind", f"is one of {', '.join(KINDS)}", hint)
            document["kind"] = KINDS[0]
        if kind == KINDS[0] and not isinstance(document.get("sql"), str):
            self.fault(
                f"{path}.sql",
                "is a text, and takes no references",
                "a value reaches SQL as a parameter: sql has :day, parameters has day",
            )
        for fault in find(document)[1]:
            if fault.field not in ("kind", "sql"):
                self.fault(f"{path}.{fault.field}", fault.message, fault.hint)
        return Node(
            document=document,
            needs=self._needs(given.get("needs"), f"{path}.needs"),
            retry=self._retry(given.get("retry"), f"{path}.retry"),
            when=self._when(given.get("when"), f"{path}.when"),
            on_failure=self._on_failure(given.get("on_failure"), f"{path}.on_failure"),
        )

    def _needs(self, given: object, path: str) -> tuple[str, ...]:
        if given is None:
            return ()
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list | tuple) or not all(isinstance(one, str) for one in names):
            self.fault(path, "is a list of names of nodes")
            return ()
        return tuple(sorted(set(names)))

    def _retry(self, given: object, path: str) -> NodeRetry:
        if given is None:
            return NodeRetry()
        if isinstance(given, int) and not isinstance(given, bool):
            given = {"attempts": given}
        if not isinstance(given, Mapping):
            self.fault(path, "is a mapping with attempts and pause")
            return NodeRetry()
        self._known(given, ("attempts", "pause"), f"{path}.")
        attempts = given.get("attempts", 3)
        if not isinstance(attempts, int) or not 1 <= attempts <= MOST_ATTEMPTS:
            self.fault(f"{path}.attempts", f"is a number from 1 to {MOST_ATTEMPTS}")
            attempts = 1
        pause = self._span(given, "pause", f"{path}.pause")
        return NodeRetry(attempts=attempts, pause=NodeRetry().pause if pause is None else pause)

    def _when(self, given: object, path: str) -> Condition | None:
        if given is None:
            return None
        if isinstance(given, bool):
            given = "true" if given else "false"
        if not isinstance(given, str):
            self.fault(path, "is a condition, such as succeeded(load)")
            return None
        try:
            return conditions.read(given)
        except ConditionError as error:
            self.fault(path, str(error))
        except ServiceError as error:
            self.fault(path, error.message, error.hint)
        return None

    def _on_failure(self, given: object, path: str) -> str:
        if given is None:
            return FAIL
        if not isinstance(given, str):
            self.fault(path, "is fail, continue or the name of a node")
            return FAIL
        return given

    def _check_node(
        self,
        name: str,
        node: Node,
        nodes: Mapping[str, Node],
        parameters: Mapping[str, Parameter],
    ) -> None:
        path = f"nodes.{name}"
        for needed in node.needs:
            self._check_name(f"{path}.needs", needed, nodes, itself=name)
        if node.handler is not None:
            self._check_name(f"{path}.on_failure", node.handler, nodes, itself=name)
        for place in node.places():
            self._check_ref(".".join((path, *place.path)), place.ref, nodes, parameters, name)
        if node.when is None:
            return
        for ref in node.when.refs():
            self._check_ref(f"{path}.when", ref, nodes, parameters, name)
        for status in node.when.statuses():
            self._check_name(f"{path}.when", status.node, nodes, itself=name)

        def type_of(ref: Ref) -> str | None:
            if ref.parameter is None:
                return OUTPUTS[ref.output]
            declared = parameters.get(ref.parameter)
            return None if declared is None else declared.type

        try:
            conditions.check(node.when, type_of)
        except ConditionError as error:
            self.fault(f"{path}.when", str(error))

    def _check_ref(
        self,
        path: str,
        ref: Ref,
        nodes: Mapping[str, Node],
        parameters: Mapping[str, Parameter],
        itself: str,
    ) -> None:
        if ref.node is not None:
            self._check_name(path, ref.node, nodes, itself=itself)
        elif ref.parameter not in parameters:
            self._unknown(path, "parameter", str(ref.parameter), parameters)

    def _check_name(self, path: str, name: str, nodes: Mapping[str, Node], *, itself: str) -> None:
        if name == itself:
            self.fault(path, "a node cannot refer to itself")
        elif name not in nodes:
            self._unknown(path, "node", name, nodes)

    def _unknown(self, path: str, noun: str, name: str, known: Mapping[str, object]) -> None:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else None
        self.fault(path, f"there is no {noun} {name!r}", hint)

    def _check_handlers(self, pipeline: Pipeline) -> None:
        for handler, handled in pipeline.handlers.items():
            if handler not in pipeline.nodes:
                continue
            for name, node in pipeline.nodes.items():
                named = {place.ref.node for place in node.places()}
                statuses = node.when.nodes() if node.when is not None else frozenset()
                if handler in (*node.needs, *named, *statuses):
                    self.fault(
                        f"nodes.{name}.needs",
                        f"{handler!r} runs only when {handled[0]!r} failed: nothing can need it",
                    )
            if pipeline.nodes[handler].handler is not None:
                self.fault(f"nodes.{handler}.on_failure", "a handler of failures has none itself")
