"""References become values in the tree, and only where values can stand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from jobs.firings.errors import ReferenceInvalidError
from jobs.firings.references import (
    JOB_END,
    OBJECT,
    SCHEDULE,
    WEBHOOK,
    Names,
    check_references,
    resolve,
    samples,
)

AT = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
VALUES = {"due_at": AT, "due_date": AT.date()}


def in_parameters(value: Any) -> dict[str, Any]:
    return {"kind": "statement", "sql": "SELECT :x", "parameters": {"x": value}}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"ref": "due_date"}, {"type": "date", "value": "2026-03-01"}),
        ({"ref": "due_date", "days": -1}, {"type": "date", "value": "2026-02-28"}),
        ({"ref": "due_at"}, {"type": "timestamp", "value": "2026-03-01T02:30:00.000Z"}),
    ],
)
def test_values_of_parameters_are_typed(reference: Any, value: Any) -> None:
    assert resolve(in_parameters(reference), VALUES)["parameters"]["x"] == value
    assert resolve(in_parameters([reference]), VALUES)["parameters"]["x"] == [value]


def test_arguments_and_environment_are_text() -> None:
    document = {
        "kind": "batch",
        "arguments": ["--day", {"ref": "due_date", "days": 1}],
        "environment": {"AT": {"ref": "due_at"}, "SIZE": {"ref": "object_size"}},
    }
    found = resolve(document, {**VALUES, "object_size": 7})
    assert found["arguments"] == ["--day", "2026-03-02"]
    assert found["environment"] == {"AT": "2026-03-01T02:30:00.000Z", "SIZE": "7"}


def test_a_payload_is_a_value_whatever_it_says() -> None:
    hostile = {"ref": "due_at", "sql": "'; DROP TABLE x"}
    found = resolve(in_parameters({"ref": "payload.a.b"}), {"payload": {"a": {"b": hostile}}})
    assert found["parameters"]["x"] == hostile, "what comes is never resolved again"
    with pytest.raises(ReferenceInvalidError, match=r"payload\.a\.c"):
        resolve(in_parameters({"ref": "payload.a.c"}), {"payload": {"a": {"b": 1}}})


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "statement", "sql": {"ref": "due_at"}},
        {"kind": "statement", "sql": "x", "labels": {"day": {"ref": "due_date"}}},
        {"kind": "task", "command": ["sh", "-c", {"ref": "due_at"}]},
        {"ref": "due_at"},
        in_parameters({"ref": "due_day"}),
        in_parameters({"ref": "payload.x"}),
        in_parameters({"ref": "due_at", "days": 1}),
        in_parameters({"ref": "due_date", "days": "1"}),
        in_parameters({"ref": "due_date", "days": True}),
        in_parameters({"ref": "due_date", "days": 10**9}),
        in_parameters({"ref": "due_date", "format": "%Y"}),
        in_parameters({"ref": ["due_date"]}),
    ],
)
def test_a_wrong_reference_is_refused(document: dict[str, Any]) -> None:
    if document == {"ref": "due_at"}:
        check_references(document, SCHEDULE)  # a field of that name: the job's own check refuses it
        return
    with pytest.raises(ReferenceInvalidError) as caught:
        check_references(document, SCHEDULE)
    assert caught.value.hint is not None
    assert "field" in caught.value.details


@pytest.mark.parametrize("names", [SCHEDULE, OBJECT, WEBHOOK, JOB_END])
def test_every_name_has_a_sample_of_its_type(names: Names) -> None:
    found = samples(names)
    assert set(found) == set(names.known)
    assert type(found["due_date"]) is date
    for name in names.known:
        check_references(in_parameters({"ref": name}), names)


def test_a_near_name_is_told() -> None:
    with pytest.raises(ReferenceInvalidError) as caught:
        check_references(in_parameters({"ref": "due_dat"}), SCHEDULE)
    assert caught.value.hint == "did you mean due_date?"
