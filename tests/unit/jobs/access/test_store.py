from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime

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

AT = datetime(2026, 11, 1, tzinfo=UTC)
SALES, OTHERS = ProjectId("sales"), ProjectId("others")
KEYS = Credentials(secret=SecretKeys(name="sales-s3", access_key="id", secret_key="key"))


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


def test_of_two_at_once_the_second_is_kept(database: Database) -> None:
    account = Credentials(service_account="sales")

    def again() -> None:
        with database.transaction() as tx:
            store.put(tx, SALES, account, at=AT)

    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as tx:
            store.put(tx, SALES, KEYS, at=AT)
            other = threads.submit(again)
            wait([other], timeout=0.3)  # it waits for us, at the latest where it writes
        other.result(timeout=60)
    with database.read() as tx:
        assert store.find(tx, SALES) == account
