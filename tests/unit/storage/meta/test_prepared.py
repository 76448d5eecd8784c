"""Prepared statements give what SQLAlchemy's own way gives, on both databases."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from jobs.store.rows import idempotency_keys, job_events, job_plans
from storage.meta.database import Database, DatabaseUnavailableError
from storage.meta.prepared import Prepared

NOW = datetime(2026, 11, 21, 9, 0, 0, 123000, UTC)
EVENT: dict[str, Any] = {
    "job_id": "stm_1",
    "version": 1,
    "state": "queued",
    "kind": "submitted",
    "at": NOW,
    "detail": {"a": ["ä", None, 1.5]},
}
FIND = select(job_events).where(job_events.c.job_id == bindparam("job"))


def test_values_of_all_types_come_back_as_they_were(database: Database) -> None:
    with database.transaction() as tx:
        Prepared(insert(job_events)).run(tx, EVENT)
        Prepared(insert(job_plans)).run(tx, {"job_id": "stm_1", "plan": b"\0\xff"})
        row = Prepared(FIND).first(tx, {"job": "stm_1"})
        plan = Prepared(select(job_plans.c.plan)).first(tx, {})
        usual = tx.execute(FIND, {"job": "stm_1"}).one()
    assert row is not None
    assert row._asdict() == EVENT == dict(usual._mapping)
    assert plan is not None
    assert bytes(plan.plan) == b"\0\xff"


def test_other_columns_are_another_statement(database: Database) -> None:
    prepared = Prepared(insert(job_events))
    with database.transaction() as tx:
        prepared.run_each(tx, [EVENT, EVENT | {"version": 2}])
        turned = dict(reversed(EVENT.items())) | {"version": 3}
        prepared.run(tx, turned)
        assert [row.version for row in Prepared(FIND).all(tx, {"job": "stm_1"})] == [1, 2, 3]
        assert Prepared(FIND).all(tx, {"job": "stm_2"}) == []
        assert Prepared(FIND).first(tx, {"job": "stm_2"}) is None


def test_constants_and_returned_columns_are_kept(database: Database) -> None:
    change = Prepared(
        update(job_events)
        .where(job_events.c.version == bindparam("seen"), job_events.c.kind == "submitted")
        .values(state="failed", at=bindparam("now"))
        .returning(job_events.c.job_id, job_events.c.at)
    )
    later = NOW + timedelta(seconds=1)
    with database.transaction() as tx:
        Prepared(insert(job_events)).run(tx, EVENT)
        assert change.first(tx, {"seen": 2, "now": later}) is None
        assert change.first(tx, {"seen": 1, "now": later}) == ("stm_1", later)
    with database.read() as tx:
        [row] = Prepared(FIND).all(tx, {"job": "stm_1"})
        assert (row.state, row.at) == ("failed", later)


def test_each_dialect_has_its_own_words(database: Database) -> None:
    take = Prepared(
        {
            "sqlite": sqlite.insert(idempotency_keys)
            .on_conflict_do_nothing()
            .returning(idempotency_keys.c.key),
            "postgresql": postgresql.insert(idempotency_keys)
            .on_conflict_do_nothing()
            .returning(idempotency_keys.c.key),
        }
    )
    values = {"project_id": "p", "key": "k", "body_hash": "h", "job_id": "j", "created_at": NOW}
    with database.transaction() as tx:
        assert take.first(tx, values) == ("k",)
        assert take.first(tx, values) is None


def test_a_missing_value_and_a_list_are_mistakes(database: Database) -> None:
    with database.read() as tx, pytest.raises(KeyError):
        Prepared(FIND).all(tx, {})
    many = select(job_events.c.version).where(job_events.c.version.in_(bindparam("some")))
    with database.read() as tx, pytest.raises(TypeError):
        Prepared(many).all(tx, {"some": [1, 2]})


def test_an_error_undoes_the_transaction(database: Database) -> None:
    prepared = Prepared(insert(job_events))

    def twice() -> None:
        with database.transaction() as tx:
            prepared.run_each(tx, [EVENT, EVENT])

    with pytest.raises(Exception, match=re.compile("unique", re.IGNORECASE)):
        twice()
    with database.transaction() as tx:
        assert Prepared(FIND).all(tx, {"job": "stm_1"}) == []


def test_a_database_that_refuses_is_told_as_one_that_is_away(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'meta.db'}")

    def written_while_reading() -> None:
        with database.read() as tx:  # SQLITE_READONLY
            Prepared(text("CREATE TABLE t (a INTEGER)")).run(tx, {})

    with pytest.raises(DatabaseUnavailableError):
        written_while_reading()
    database.close()
