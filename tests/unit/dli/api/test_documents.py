"""Job documents are the bodies of the API, and their schema says the same as their check."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import pytest

from dli.api.documents import KINDS, Documents, document_schema
from dli.api.pipelines import pipeline_schema
from jobs.accepting import check_terms
from jobs.errors import RequestInvalidError
from jobs.pipelines.checking import check_documents
from jobs.pipelines.reading import read
from jobs.views import Terms
from storage.base.ids import ProjectId, UserId
from storage.base.quantities import AMOUNT_PATTERN, SPAN_PATTERN
from tests.support.documents import check_document


def test_a_statement_is_a_document() -> None:
    check_document({"kind": "statement", "sql": "SELECT 1", "labels": {"team": "a"}})


def test_a_batch_is_a_document() -> None:
    program = {"name": "app.py", "sha256": "ab" * 32}
    check_document({"kind": "batch", "program": program, "conf": {"spark.sql.ansi.enabled": True}})
    check_document({"kind": "batch", "program": "s3://bucket/app.py", "size": "large"})
    check_document({"kind": "batch", "program": "/srv/app.py", "py_files": ["file:/srv/b.py"]})


@pytest.mark.parametrize("within", [False, True], ids=["text", "object"])
def test_a_node_may_take_its_files_from_another(within: bool) -> None:
    made: Any = {"ref": "nodes.made.output.uri"}
    nodes = {
        "made": {"kind": "task", "command": ["c"], "outputs": ["*.py"]},
        "used": {"kind": "batch", "program": {"uri": made} if within else made},
        "read": {"kind": "task", "command": ["c"], "stdin": made, "files": [made]},
    }
    check_documents(read({"name": "p", "nodes": nodes}), Documents(jobs=None), ProjectId("p"))  # type: ignore[arg-type]


def test_defaults_of_the_schema_are_understood() -> None:
    retry = document_schema()["$defs"]["RetryBody"]["properties"]
    given = {name: field["default"] for name, field in retry.items() if "default" in field}
    assert given == {"attempts": 3, "pause": "1s"}
    check_document({"kind": "statement", "sql": "SELECT 1", "retry": given})


def test_values_of_parameters_need_not_be_known() -> None:
    parameters = {"day": {"type": "date", "value": "sample"}}
    check_document({"kind": "statement", "sql": "SELECT :day", "parameters": parameters})


def test_a_job_may_have_as_many_labels_as_a_document_and_those_of_the_service() -> None:
    labels = {f"a{number}": "b" for number in range(32)} | {"dli.schedule": "s", "dli.firing": "f"}
    check_terms(
        Terms(project_id=ProjectId("p"), user_id=UserId("u"), may_write=True, labels=labels)
    )


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"kind": "batch", "program": "s3://b/a.py", "size": "smal"}, "there is no size 'smal'"),
        ({"kind": "batch", "program": "app.py"}, "program: 'app.py' is no address"),
        ({"kind": "batch", "program": {"uri": "./a.py"}}, "program.uri: './a.py' is no address"),
        ({"kind": "batch", "program": {"sha256": "0a"}}, "program.sha256: "),
        ({"kind": "task", "command": ["c"], "stdin": "in.csv"}, "stdin: 'in.csv' is no address"),
        ({"kind": "batch", "program": {"part": "a.py"}}, "there is no form with a file 'a.py'"),
        ({"kind": "batch", "program": "s3://b/a.py", "mode": "estimate"}, "mode: has no meaning"),
        (
            {"kind": "batch", "program": "s3://b/a.py", "conf": {"spark.master": "local"}},
            "spark.master cannot be set by a batch",
        ),
        ({"sql": "SELECT 1"}, "kind: is missing"),
        ({"kind": "statment", "sql": "SELECT 1"}, "kind: 'statment' is no kind of job"),
        ({"kind": "statement"}, "sql: field required"),
        ({"kind": "statement", "sql": "SELECT 1", "quue": "a"}, "quue: is not a known field"),
        ({"kind": "statement", "sql": "SELECT 1", "wait": "5s"}, "wait: has no meaning"),
        ({"kind": "statement", "sql": "SELECT 1", "retry": {"tries": 2}}, "retry.tries"),
        ({"kind": "statement", "sql": "SELEC 1"}, "sql: '1' fits not here (line 1, column 7)"),
        ({"kind": "statement", "sql": "SELECT 1; SELECT 2"}, "sql: the text holds 2 statements"),
        ({"kind": "statement", "sql": "SELECT :day"}, "sql: no value for parameter :day"),
        (
            {"kind": "statement", "sql": "SELECT 1", "parameters": {"day": 1}},
            "sql: the statement has no parameter :day",
        ),
        ({"kind": "statement", "sql": "SELECT 1", "timeout": "0s"}, "timeout is not above zero"),
        ({"kind": "task", "command": ["true"], "retry": {"pause": "2h"}}, "pause is from 0s"),
        ({"kind": "batch", "program": "s3://b/a.py", "timeout": "0s"}, "timeout is not above"),
        ({"kind": "pipeline", "pipeline": "daily", "timeout": "0s"}, "timeout is not above"),
        ({"kind": "pipeline", "pipeline": "daily", "retry": {}}, "retry: a run has none"),
    ],
)
def test_a_wrong_document_is_told_by_its_field(document: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestInvalidError) as caught:
        check_document(document)
    assert said in caught.value.message


def test_a_near_field_is_named() -> None:
    with pytest.raises(RequestInvalidError) as caught:
        check_document({"kind": "statement", "sql": "SELECT 1", "quue": "a"})
    assert caught.value.hint == "did you mean 'queue'?"


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("timeout", "5m", "5 minutes"),
        ("max_cost", "0.05", "0,05"),
        ("max_bytes", "10GB", "10 G"),
        ("max_bytes", 7, -7),
    ],
)
def test_an_editor_tells_a_bad_quantity_as_the_service_does(
    field: str, good: Any, bad: Any
) -> None:
    told = document_schema()["$defs"]["StatementBody"]["properties"][field]["anyOf"][0]
    for value, fits in ((good, True), (bad, False)):
        document = {"kind": "statement", "sql": "SELECT 1", field: value}
        found = (
            re.search(told["pattern"], value) is not None
            if isinstance(value, str)
            else value >= told["minimum"]
        )
        assert found is fits
        with nullcontext() if fits else pytest.raises(RequestInvalidError, match=field):
            check_document(document)


def test_the_schema_has_every_kind_and_refuses_what_is_unknown() -> None:
    schema = document_schema()
    names = [option["$ref"].rpartition("/")[2] for option in schema["oneOf"]]
    told = [schema["$defs"][name] for name in names]
    assert [each["properties"]["kind"]["const"] for each in told] == [kind.value for kind in KINDS]
    assert all(each["additionalProperties"] is False for each in told)
    assert not any("wait" in each["properties"] for each in told)


def test_the_schema_of_a_pipeline_tells_its_own_quantities() -> None:
    own = pipeline_schema()["properties"]
    assert own["timeout"]["pattern"] == SPAN_PATTERN
    assert own["max_cost"]["pattern"] == AMOUNT_PATTERN
