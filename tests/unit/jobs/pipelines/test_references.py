"""References become values in the tree of a document, and never reach a statement's text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.pipelines.errors import ValueMissingError
from jobs.pipelines.references import Ref, find, parse_ref, resolve
from jobs.pipelines.values import Typed
from tests.unit.jobs.pipelines.test_values import TYPED

DAY = Typed(type="date", value="2026-01-31")


def values(**given: Typed) -> Any:
    """A lookup of parameters."""
    return lambda ref: given.get(ref.parameter or "")


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("params.day", Ref(parameter="day")),
        ("nodes.load.result.rows", Ref(node="load", output="result.rows")),
        ("nodes.load.result.value", Ref(node="load", output="result.value")),
        ("nodes.load.output.uri", Ref(node="load", output="output.uri")),
        ("nodes.load.job_id", Ref(node="load", output="job_id")),
    ],
)
def test_a_reference_is_read_and_told(text: str, ref: Ref) -> None:
    assert parse_ref(text) == ref
    assert str(ref) == text


@pytest.mark.parametrize("text", ["day", "params.", "nodes.load", "nodes.load.rows", 5, None])
def test_other_texts_are_no_references(text: object) -> None:
    with pytest.raises(ValueError, match=r"reference|refers"):
        parse_ref(text)


def test_places_are_found_on_their_way() -> None:
    document = {
        "kind": "task",
        "command": ["cp", {"ref": "params.a"}, {"join": ["x", {"ref": "params.b"}]}],
        "files": {"in": {"ref": "nodes.n.output.uri", "file": "a.csv"}},
    }
    places, faults = find(document)
    assert faults == ()
    assert [(".".join(place.path), str(place.ref)) for place in places] == [
        ("command.1", "params.a"),
        ("command.2", "params.b"),
        ("files.in", "nodes.n.output.uri"),
    ]


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"sql": {"ref": "params.day"}}, "sql"),
        ({"sql": {"join": ["SELECT ", {"ref": "params.day"}]}}, "sql"),
        ({"kind": {"ref": "params.kind"}}, "kind"),
        ({"x": {"ref": "params.day", "as": "text"}}, "x"),
        ({"x": {"ref": "params.day", "file": "f"}}, "x"),
        ({"x": {"join": []}}, "x"),
        ({"x": {"join": ["a", 5]}}, "x"),
        ({"x": [{"ref": "day"}]}, "x.0"),
    ],
)
def test_a_wrong_reference_is_told_by_its_place(document: dict[str, Any], field: str) -> None:
    assert [fault.field for fault in find(document)[1]] == [field]


def test_a_parameter_of_a_statement_keeps_its_type() -> None:
    document = {"kind": "statement", "sql": "SELECT :day", "parameters": {"day": REF}}
    resolved = resolve(document, values(day=DAY))
    assert resolved["parameters"] == {"day": {"type": "date", "value": "2026-01-31"}}


def test_elsewhere_a_value_becomes_text() -> None:
    lookup = values(day=DAY, n=Typed(type="int", value=5), none=Typed(type="int", value=None))
    document = {
        "kind": "task",
        "command": [REF, {"ref": "params.n"}, {"join": ["d=", REF, "/n=", {"ref": "params.n"}]}],
        "stdin": {"ref": "params.none"},
    }
    assert resolve(document, lookup) == {
        "kind": "task",
        "command": ["2026-01-31", "5", "d=2026-01-31/n=5"],
        "stdin": None,
    }


def test_a_value_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueMissingError, match="no value for params"):
        resolve({"kind": "task", "x": REF}, values())
    null = values(day=Typed(type="date", value=None))
    with pytest.raises(ValueMissingError, match="NULL"):
        resolve({"kind": "task", "x": {"join": [REF]}}, null)


REF = {"ref": "params.day"}
TEXTS = st.text(max_size=20)
SQL = (
    st.sampled_from(
        ["SELECT :day", "SELECT '{{ params.day }}'", 'SELECT \'{"ref": "params.day"}\' AS x']
    )
    | TEXTS
)


@given(sql=SQL, value=TYPED, kind=st.sampled_from(["statement", "batch"]), extra=TEXTS)
def test_no_value_reaches_the_text_of_a_statement(
    sql: str, value: Typed, kind: str, extra: str
) -> None:
    """Whatever the value is, the text is the one that its author wrote."""
    document = {"kind": kind, "sql": sql, "parameters": {"day": REF}, "labels": {"x": extra}}
    resolved = resolve(document, values(day=value))
    assert resolved["sql"] == sql
    assert resolved["labels"] == {"x": extra}


def test_a_reference_in_the_place_of_sql_is_never_resolved() -> None:
    """It is refused when the pipeline is read; here nothing may come of it either."""
    document = {"kind": "statement", "sql": {"join": ["SELECT ", REF]}}
    assert resolve(document, values(day=DAY)) == document
