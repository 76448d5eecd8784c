"""What is the same work."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.history.fingerprints import fingerprint_of, normalised
from jobs.lifecycle.spec import EngineName, FileRef
from tests.support.jobs import make_batch_spec, make_pipeline_spec, make_spec, make_task_spec


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t WHERE a = 2 AND b IN ('y', 'it''s') -- today",
        "select *\n from t where a = 17 /* why */ and b in ('x','y','z');",
        "select * from t where a = 1.5e3 and b in (\t'\\'' , 'q')",
    ],
)
def test_values_and_layout_do_not_count(sql: str) -> None:
    assert normalised(sql) == "select * from t where a = ? and b in (?)"


def test_names_count() -> None:
    assert normalised("select a1 from t2") == "select a1 from t2"


def test_a_statement_is_told_by_text_database_and_engine() -> None:
    spec = make_spec(sql="select 1")
    same = fingerprint_of(make_spec(sql="SELECT 2"))
    assert fingerprint_of(spec) == same
    assert fingerprint_of(replace(spec, sql="select a")) != same
    assert fingerprint_of(replace(spec, database="other")) != same
    assert fingerprint_of(replace(spec, engine=EngineName.SPARK)) != same


def test_a_program_is_told_by_its_content_and_not_by_its_arguments() -> None:
    spec = make_batch_spec()
    assert fingerprint_of(replace(spec, arguments=("2026-01-02",))) == fingerprint_of(spec)
    changed = FileRef(name="count.py", size=11, sha256="cd" * 32)
    assert fingerprint_of(replace(spec, program=changed)) != fingerprint_of(spec)
    assert fingerprint_of(replace(spec, main_class="Main")) != fingerprint_of(spec)


def test_tasks_have_one_and_plans_have_none() -> None:
    assert fingerprint_of(make_task_spec()) is not None
    assert fingerprint_of(make_pipeline_spec()) is None
