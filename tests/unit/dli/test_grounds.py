from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dli.grounds import access_of
from dli.settings.loading import Settings, load
from jobs.access import store
from jobs.access.credentials import Credentials, CredentialsMissingError
from storage.base.ids import ProjectId
from storage.meta.database import Database
from storage.meta.schema import METADATA

SALES, OTHERS = ProjectId("sales"), ProjectId("others")
OWN = Credentials(service_account="sales")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path}/meta.db")
    with made.transaction() as tx:
        METADATA.create_all(tx, tables=[store.project_credentials])
        store.put(tx, SALES, OWN, at=datetime(2026, 11, 1, tzinfo=UTC))
    yield made
    made.close()


def settings(tmp_path: Path, **more: Any) -> Settings:
    return load(home=tmp_path, **{"launcher": "kubernetes", **more})


def test_a_project_has_its_own_or_shares_the_services(tmp_path: Path, database: Database) -> None:
    access = access_of(settings(tmp_path), database)
    assert access(SALES) == OWN
    assert access(OTHERS) is None


def test_where_nothing_is_shared_a_project_without_its_own_is_refused(
    tmp_path: Path, database: Database
) -> None:
    access = access_of(settings(tmp_path, kubernetes_shared_credentials=False), database)
    assert access(SALES) == OWN
    with pytest.raises(CredentialsMissingError, match="others") as caught:
        access(OTHERS)
    assert "dli project credentials set" in str(caught.value.hint)


def test_processes_of_this_machine_are_the_service(tmp_path: Path, database: Database) -> None:
    assert access_of(settings(tmp_path, launcher="local"), database)(SALES) is None
