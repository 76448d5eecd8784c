"""From a request to a spec: defaults, bounds, and what cannot go together."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.batches.sizes import GIB, SIZES
from jobs.batches.spec import BatchDefaults, BatchRequest, batch_spec, check_form
from jobs.errors import RequestInvalidError
from jobs.files import Files, FileSettings
from jobs.given import GivenFile
from jobs.lifecycle.spec import BatchLanguage, BatchSession, BatchSpec, RetryPolicy, Size
from jobs.queues.definitions import CONF_ALLOWED
from jobs.store.codec import from_json, to_json
from jobs.views import Terms
from storage.base.clock import ManualClock
from storage.base.ids import UserId
from storage.meta.database import Database
from storage.meta.schema import METADATA
from storage.objects.folder import FolderStore
from storage.objects.locations import Locations
from tests.support.jobs import PROJECT

DEFAULTS = BatchDefaults(
    conf_allowed=CONF_ALLOWED,
    database="default",
    max_cost=None,
    timeout=timedelta(hours=1),
    retry=RetryPolicy(),
)
ANY_SHA = "ab" * 32


def request(name: str = "app.py", /, **changes: Any) -> BatchRequest:
    values: dict[str, Any] = {
        "terms": Terms(project_id=PROJECT, user_id=UserId("usr_1"), may_write=True),
        "program": GivenFile(name=name, sha256=ANY_SHA),
    }
    return BatchRequest(**values | changes)


def given(*names: str) -> list[GivenFile]:
    return [GivenFile(name=name, sha256=ANY_SHA) for name in names]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Files of a project with one, whose name anybody may choose."""
    database = Database(f"sqlite:///{tmp_path / 'meta.db'}")
    with database.transaction() as tx:
        METADATA.create_all(tx)
    return Files(
        database=database,
        store=FolderStore(tmp_path / "store"),
        locations=Locations(folders=(tmp_path,), s3=None, buckets=()),
        clock=ManualClock(),
        settings=FileSettings(drafts=tmp_path / "drafts"),
    )


def made(files: Files, program: str = "app.py", /, **changes: Any) -> BatchSpec:
    sha256 = files.keep(PROJECT, [b"x"]).sha256
    changes = {
        field: [GivenFile(name=each.name, sha256=sha256) for each in value]
        if field in {"py_files", "jars", "files"}
        else value
        for field, value in changes.items()
    }
    asked = request(program=GivenFile(name=program, sha256=sha256), **changes)
    return batch_spec(asked, DEFAULTS, files)


def test_defaults_are_filled_in(files: Files) -> None:
    spec = made(files, "nightly.counts.py")
    assert (spec.name, spec.language) == ("nightly.counts", BatchLanguage.PYTHON)
    assert (spec.driver, spec.executor, spec.executors) == (SIZES["small"], None, 0)
    assert (spec.session, spec.database, spec.timeout) == (
        BatchSession.OWN,
        "default",
        timedelta(hours=1),
    )


def test_a_spec_survives_its_row(files: Files) -> None:
    spec = made(
        files,
        "app.jar",
        main_class="com.example.Main",
        arguments=["a", "ö", ""],
        jars=given("lib.jar"),
        files=given("data.csv"),
        conf={"spark.sql.ansi.enabled": "false"},
        environment={"MODE": "fast"},
        tables=["Sales.Orders", "Lines"],
        database="Shop",
        driver=Size(cores=2, memory_bytes=6 * GIB),
        executor=Size(cores=1, memory_bytes=2 * GIB),
        executors=3,
    )
    assert spec.tables == ("sales.orders", "shop.lines")
    assert from_json(BatchSpec, to_json(spec)) == spec


@pytest.mark.parametrize(
    ("program", "language"),
    [("a.py", "python"), ("A.JAR", "jar"), ("x.SQL", "sql")],
)
def test_the_suffix_says_the_language(files: Files, program: str, language: str) -> None:
    assert made(files, program).language.value == language


def test_a_language_may_be_said(files: Files) -> None:
    assert made(files, "script", language=BatchLanguage.SQL).language is BatchLanguage.SQL
    with pytest.raises(RequestInvalidError, match="does not say what kind"):
        made(files, "script")


@pytest.mark.parametrize(
    ("program", "changes", "field"),
    [
        ("a.py", {"main_class": "x.Main"}, "main_class"),
        ("a.jar", {"main_class": "x/Main"}, "main_class"),
        ("a.jar", {"py_files": given("b.py")}, "py_files"),
        ("a.py", {"py_files": given("b.txt")}, "py_files"),
        ("a.py", {"jars": given("b.zip")}, "jars"),
        ("a.py", {"name": ""}, "name"),
        ("a.py", {"name": "a\nb"}, "name"),
        ("a.py", {"arguments": ["x\x00"]}, "arguments"),
        ("a.py", {"arguments": ["x"] * 1001}, "arguments"),
        ("a.py", {"environment": {"A B": "1"}}, "environment"),
        ("a.py", {"environment": {"PATH": "/x"}}, "environment"),
        ("a.py", {"environment": {"PYTHONPATH": "/x"}}, "environment"),
        ("a.py", {"environment": {"SPARK_HOME": "/x"}}, "environment"),
        ("a.py", {"environment": {"LD_PRELOAD": "/x"}}, "environment"),
        ("a.py", {"tables": ["a.b.orders"]}, "tables"),
        ("a.py", {"tables": ["or ders"]}, "tables"),
        ("a.py", {"tables": ["a.orders", "b.ORDERS"]}, "tables"),
        ("a.py", {"size": "small", "driver": SIZES["small"]}, "size"),
        ("a.py", {"size": "tiny"}, "size"),
        ("a.py", {"executors": 2}, "executors"),
        ("a.py", {"executor": SIZES["small"]}, "executors"),
        ("a.py", {"executor": SIZES["small"], "executors": 1001}, "executors"),
        ("a.jar", {"session": BatchSession.CONNECT}, "session"),
        ("a.py", {"session": BatchSession.CONNECT, "jars": given("b.jar")}, "jars"),
        (
            "a.py",
            {"session": BatchSession.CONNECT, "conf": {"spark.rdd.compress": "true"}},
            "conf",
        ),
    ],
)
def test_what_cannot_be_names_its_field(program: str, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestInvalidError) as caught:
        check_form(request(program, **changes), CONF_ALLOWED)
    assert caught.value.details["field"] == field


def test_two_files_of_one_name_are_refused(files: Files) -> None:
    with pytest.raises(RequestInvalidError, match=r"app\.py is given twice"):
        made(files, "app.py", py_files=given("app.py"))


def test_names_with_sparks_own_separators_are_refused(files: Files) -> None:
    for name in ("a,b.csv", "a#b.csv"):
        with pytest.raises(RequestInvalidError):
            made(files, "app.py", py_files=[], files=given(name))


def test_a_file_needs_one_address(files: Files) -> None:
    for wrong in (GivenFile(name="a.py"), GivenFile(name="a.py", sha256=ANY_SHA, uri="/a.py")):
        with pytest.raises(RequestInvalidError):
            batch_spec(request(program=wrong), DEFAULTS, files)
