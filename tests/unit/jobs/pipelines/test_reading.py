"""Reading a pipeline: every fault by its place, and one canonical form for equal ones."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.pipelines.errors import PipelineInvalidError
from jobs.pipelines.reading import read
from jobs.pipelines.spec import (
    NodeRetry,
    fingerprint,
    money_text,
    to_json,
)
from storage.base.quantities import parse_amount
from tests.support.pipelines import FULL, make_pipeline, statement


def faults(given: dict[str, Any]) -> dict[str, str]:
    """What is wrong, by its place."""
    with pytest.raises(PipelineInvalidError) as caught:
        read(given)
    errors = caught.value.details["errors"]
    assert isinstance(errors, list)
    return {each["field"]: each["message"] for each in errors}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The full pipeline with one place changed."""
    made = deepcopy(FULL)
    *way, last = path.split(".")
    spot: Any = made
    for part in way:
        spot = spot[part]
    spot[last] = value
    return made


def test_everything_that_can_be_said_is_read() -> None:
    pipeline = read(FULL)
    load = pipeline.nodes["load"]
    assert load.retry == NodeRetry(attempts=3, pause=timedelta(seconds=10))
    assert load.document["timeout"] == "10m"
    assert load.handler == "tell"
    assert pipeline.handlers == {"tell": ("load",)}
    assert pipeline.max_cost == 1_500_000_000
    assert pipeline.timeout == timedelta(hours=2)
    assert pipeline.parameters["day"].required
    assert not pipeline.parameters["least"].required
    assert pipeline.parameters["note"].type == "string"


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        ("nods", {}, "nods", "not a known field"),
        ("name", "9lives", "name", "letters"),
        ("description", 5, "description", "no text"),
        ("queue", 5, "queue", "no text"),
        ("labels", ["a"], "labels", "mapping"),
        ("labels", {"pipeline": "x"}, "labels.pipeline", "by the service"),
        ("nodes.load.parameters.day", float("nan"), "body", "no form for"),
        ("nodes.load.parameters.day", "\ud800", "body", "no form for"),
        ("max_cost", 1.5, "max_cost", "money is text"),
        ("max_cost", "-1", "max_cost", "not an amount of money"),
        ("timeout", "soon", "timeout", "is not a span"),
        ("timeout", 5, "timeout", "is not a span"),
        ("parallel", 0, "parallel", "from 1 to 100"),
        ("parallel", True, "parallel", "from 1 to 100"),
        ("parameters", [], "parameters", "mapping"),
        ("parameters.day", 5, "parameters.day", "is a type"),
        ("parameters.day", {"typ": "date"}, "parameters.day.typ", "not a known field"),
        ("parameters.day", {"type": "dat"}, "parameters.day.type", "is none of"),
        ("parameters.day", {"type": "date", "default": "x"}, "parameters.day.default", "no date"),
        ("parameters.a-b", "string", "parameters.a-b", "no name"),
        ("parameters.note", {"required": 1}, "parameters.note.required", "true or false"),
        ("nodes", {}, "nodes", "at least one"),
        ("nodes", [], "nodes", "at least one"),
        ("nodes.1st", statement(), "nodes.1st", "no name"),
        ("nodes.fail", statement(), "nodes.fail", "word of on_failure"),
        ("nodes.load", "SELECT 1", "nodes.load", "is a job"),
        ("nodes.load", {"kind": "statment", "sql": "x"}, "nodes.load.kind", "one of"),
        ("nodes.load.sql", {"ref": "params.day"}, "nodes.load.sql", "takes no references"),
        ("nodes.load.parameters.day", {"ref": "params.dya"}, "nodes.load.parameters.day", "'dya'"),
        ("nodes.load.parameters.day", {"ref": "day"}, "nodes.load.parameters.day", "refers to no"),
        ("nodes.export.needs", ["lod"], "nodes.export.needs", "no node 'lod'"),
        ("nodes.export.needs", {"load": 1}, "nodes.export.needs", "list"),
        ("nodes.export.needs", ["export"], "nodes.export.needs", "itself"),
        ("nodes.export.needs", ["tell"], "nodes.export.needs", "runs only when 'load' failed"),
        ("nodes.load.retry", [], "nodes.load.retry", "mapping"),
        ("nodes.load.retry", {"attempts": 99}, "nodes.load.retry.attempts", "from 1 to 10"),
        ("nodes.load.retry", {"pause": "x"}, "nodes.load.retry.pause", "not a span"),
        ("nodes.load.retry", {"attempt": 1}, "nodes.load.retry.attempt", "not a known field"),
        ("nodes.export.when", 5, "nodes.export.when", "is a condition"),
        ("nodes.export.when", "params.n >", "nodes.export.when", "no condition"),
        ("nodes.export.when", "params.day > 5", "nodes.export.when", "cannot be compared"),
        ("nodes.export.when", "succeeded(lod)", "nodes.export.when", "no node 'lod'"),
        ("nodes.export.when", "params.dya = '1'", "nodes.export.when", "no parameter 'dya'"),
        ("nodes.load.on_failure", "tel", "nodes.load.on_failure", "no node 'tel'"),
        ("nodes.load.on_failure", ["tell"], "nodes.load.on_failure", "fail, continue"),
        ("nodes.tell.on_failure", "count", "nodes.tell.on_failure", "has none itself"),
    ],
)
def test_a_fault_is_told_by_its_place(path: str, value: Any, field: str, message: str) -> None:
    told = faults(changed(path, value))
    assert field in told, told
    assert message in told[field]


def test_all_faults_are_told_at_once_with_what_was_meant() -> None:
    given = changed("nodes.export.needs", ["lod"]) | {"max_cost": 5, "que": "x"}
    with pytest.raises(PipelineInvalidError) as caught:
        read(given)
    errors = caught.value.details["errors"]
    assert isinstance(errors, list)
    hints = {each["field"]: each["hint"] for each in errors}
    assert hints == {
        "nodes.export.needs": "did you mean 'load'?",
        "max_cost": None,
        "que": "did you mean 'queue'?",
    }
    assert "max_cost: money is text" in caught.value.message


def test_a_statement_needs_no_kind() -> None:
    assert make_pipeline({"a": {"sql": "SELECT 1"}}).nodes["a"].kind == "statement"


def test_the_name_is_the_one_that_is_applied() -> None:
    nameless = {"nodes": {"a": statement()}}
    assert read(nameless, name="daily").name == "daily"
    with pytest.raises(PipelineInvalidError, match="is 'other'"):
        read(nameless | {"name": "other"}, name="daily")
    assert "name" in faults(nameless)


def test_too_much_is_refused() -> None:
    assert "nodes" in faults({"name": "a", "nodes": {f"n{i}": statement() for i in range(501)}})
    assert "body" in faults({"name": "a", "nodes": {"n": statement("x" * 1_000_001)}})
    assert "body" in faults({"name": "a", "nodes": {"n": statement(x=object())}})


def test_the_canonical_form_gives_an_equal_pipeline() -> None:
    pipeline = read(FULL)
    assert read(json.loads(json.dumps(to_json(pipeline)))) == pipeline


@given(st.randoms(use_true_random=False))
def test_the_order_of_writing_does_not_matter(random: Any) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = list(value)
        random.shuffle(names)
        return {name: shuffled(value[name]) for name in names}

    assert fingerprint(to_json(read(shuffled(FULL)))) == fingerprint(to_json(read(FULL)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("max_cost", "1.5"),
        ("timeout", "120m"),
        ("nodes.load.needs", []),
        ("nodes.export.needs", "load"),
        ("nodes.count.on_failure", "fail"),
        ("parameters.note", {"type": "STRING", "required": True}),
    ],
)
def test_another_way_to_say_the_same_is_no_change(path: str, value: Any) -> None:
    assert fingerprint(to_json(read(changed(path, value)))) == fingerprint(to_json(read(FULL)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("max_cost", "1.6"),
        ("nodes.load.sql", "SELECT 1"),
        ("nodes.load.timeout", "11m"),
        ("nodes.export.when", "true"),
        ("parameters.least.default", 11),
    ],
)
def test_a_change_is_one(path: str, value: Any) -> None:
    assert fingerprint(to_json(read(changed(path, value)))) != fingerprint(to_json(read(FULL)))


@given(st.integers(0, 10**18 - 1))
def test_money_comes_back_from_its_text(nanos: int) -> None:
    assert parse_amount(money_text(nanos)) == nanos
