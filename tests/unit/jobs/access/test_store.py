from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.access import store
from jobs.access.credentials import (
    Credentials,
    CredentialsInvalidError,
    NoCredentialsError,
    SecretKeys,
)
from storage.base.ids import ProjectId
from storage.meta.database import Database
from storage.meta.schema import METADATA

AT = datetime(2026, 11, 1, tzinfo=UTC)
SALES, OTHERS = ProjectId("sales"), ProjectId("others")
KEYS = Credentials(secret=SecretKeys(name="sales-s3", access_key="id", secret_key="key"))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/meta.db")
    with made.transaction() as tx:
        METADATA.create_all(tx, tables=[store.project_credentials])
    yield made
    made.close()


def test_the_last_that_were_put_are_found(database: Database) -> None:
    account = Credentials(service_account="sales")
    with database.transaction() as tx:
        assert store.find(tx, SALES) is None
        store.put(tx, SALES, KEYS, at=AT)
        assert store.find(tx, SALES) == KEYS
        store.put(tx, SALES, account, at=AT)
        assert store.find(tx, SALES) == account
        assert store.find(tx, OTHERS) is None


def test_what_is_removed_is_gone(database: Database) -> None:
    with database.transaction() as tx:
        store.put(tx, SALES, KEYS, at=AT)
        store.remove(tx, SALES)
        assert store.find(tx, SALES) is None
        with pytest.raises(NoCredentialsError, match="sales"):
            store.remove(tx, SALES)


def test_what_cannot_be_is_not_kept(database: Database) -> None:
    with database.transaction() as tx:
        with pytest.raises(CredentialsInvalidError):
            store.put(tx, SALES, Credentials(), at=AT)
        assert store.find(tx, SALES) is None
