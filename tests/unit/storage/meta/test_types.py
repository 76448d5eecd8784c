from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, select
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from storage.meta.database import Database
from storage.meta.types import Json, NotStorableError, UtcDateTime

PROBES = Table(
    "probe_types",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime),
    Column("document", Json),
)
DIALECT = sqlite_dialect()


def kept(database: Database, **values: Any) -> Any:
    """The row that comes back for ``values``."""
    with database.transaction() as tx:
        PROBES.create(tx, checkfirst=True)
        tx.execute(PROBES.delete())
        tx.execute(PROBES.insert().values(id=1, **values))
        row = tx.execute(select(PROBES)).one()
        PROBES.drop(tx)
    return row


def test_a_moment_comes_back_aware_and_in_utc(database: Database) -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    row = kept(database, at=datetime(2026, 11, 21, 4, 0, 0, 123999, tzinfo=east))
    assert row.at == datetime(2026, 11, 20, 22, 30, 0, 123000, tzinfo=UTC)
    assert row.at.tzinfo is UTC


def test_documents_come_back_as_they_were(database: Database) -> None:
    document = {"a": [1, None, "ü\u2028", True], "b": {"c": 2**60}, "d": 0.1}
    assert kept(database, document=document).document == document


def test_nothing_comes_back_as_nothing(database: Database) -> None:
    row = kept(database, at=None, document=None)
    assert (row.at, row.document) == (None, None)


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), DIALECT)  # noqa: DTZ001


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_lacks_are_refused(number: float) -> None:
    with pytest.raises(NotStorableError):
        Json().process_bind_param([number], DIALECT)


def test_a_row_without_json_is_told_by_its_own_error(database: Database) -> None:
    with pytest.raises(NotStorableError, match="JSON"):
        kept(database, document=[float("nan")])


@given(st.datetimes(timezones=st.just(UTC)))
def test_milliseconds_keep_order_and_value(moment: datetime) -> None:
    kind = UtcDateTime()
    stored = kind.process_bind_param(moment, DIALECT)
    assert stored is not None
    back = kind.process_result_value(stored, DIALECT)
    assert back is not None
    assert timedelta(0) <= moment - back < timedelta(milliseconds=1)
