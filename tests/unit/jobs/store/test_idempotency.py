"""One job for one key, whoever is first."""

from __future__ import annotations

import threading
from datetime import timedelta

from jobs.store.idempotency import KeyUse, find, forget, take
from storage.base.ids import JobId, ProjectId
from storage.meta.database import Database
from tests.support.jobs import NOW, PROJECT

FIRST = KeyUse(job_id=JobId("stm_1"), body_hash="a")
SECOND = KeyUse(job_id=JobId("stm_2"), body_hash="a")


def test_the_first_keeps_the_key(database: Database) -> None:
    with database.transaction() as tx:
        assert take(tx, PROJECT, "k", use=FIRST, at=NOW)
        assert not take(tx, PROJECT, "k", use=SECOND, at=NOW)
        assert take(tx, ProjectId("other"), "k", use=SECOND, at=NOW)
    with database.read() as tx:
        assert find(tx, PROJECT, "k") == FIRST
        assert find(tx, PROJECT, "unknown") is None


def test_a_key_is_free_again_when_its_transaction_fails(database: Database) -> None:
    try:
        with database.transaction() as tx:
            take(tx, PROJECT, "k", use=FIRST, at=NOW)
            raise RuntimeError
    except RuntimeError:
        pass
    with database.transaction() as tx:
        assert take(tx, PROJECT, "k", use=SECOND, at=NOW)


def test_of_two_replicas_at_once_one_has_the_key(database_url: str) -> None:
    replicas = [Database(database_url) for _ in range(2)]
    start = threading.Barrier(2)
    taken: list[bool] = []

    def ask(database: Database, use: KeyUse) -> None:
        start.wait()
        with database.transaction() as tx:
            taken.append(take(tx, PROJECT, "k", use=use, at=NOW))

    threads = [
        threading.Thread(target=ask, args=pair)
        for pair in zip(replicas, (FIRST, SECOND), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for replica in replicas:
        replica.close()
    assert sorted(taken) == [False, True]


def test_old_keys_are_forgotten(database: Database) -> None:
    with database.transaction() as tx:
        take(tx, PROJECT, "old", use=FIRST, at=NOW)
        take(tx, PROJECT, "new", use=SECOND, at=NOW + timedelta(hours=2))
        assert forget(tx, before=NOW + timedelta(hours=1)) == 1
    with database.read() as tx:
        assert find(tx, PROJECT, "old") is None
        assert find(tx, PROJECT, "new") == SECOND
