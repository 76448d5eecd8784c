"""Who waits is told."""

from __future__ import annotations

from jobs.changes import Changes
from jobs.lifecycle.events import CancelRequested
from jobs.store.jobs import Summary, add, apply, first_step
from storage.base.ids import JobId
from storage.meta.database import Database
from tests.support.jobs import NOW, make_job


def test_those_who_wait_for_the_job_are_told(database: Database) -> None:
    changes = Changes(database)
    told: list[str] = []
    changes.subscribe(JobId("stm_1"), lambda: told.append("a"))
    leave = changes.subscribe(JobId("stm_1"), lambda: told.append("b"))
    changes.subscribe(JobId("stm_2"), lambda: told.append("c"))
    changes.notify(JobId("stm_1"))
    leave()
    leave()
    changes.notify(JobId("stm_1"))
    assert told == ["a", "b", "a"]


def test_a_change_by_another_replica_is_found(database: Database) -> None:
    job = make_job()
    with database.transaction() as tx:
        add(tx, [first_step(job)], plan=None, summary=Summary())
    changes, told = Changes(database), list[int]()
    leave = changes.subscribe(job.id, lambda: told.append(1))
    changes.poll()
    first = len(told)
    changes.poll()
    assert len(told) == first, "nothing changed"
    with database.transaction() as tx:
        apply(tx, job, CancelRequested(at=NOW))
    changes.poll()
    assert len(told) == first + 1
    leave()
    changes.poll()
    assert len(told) == first + 1


def test_a_change_before_the_first_look_is_not_lost(database: Database) -> None:
    """A waiter subscribes, then reads; what happens between that and the first poll counts."""
    job = make_job()
    with database.transaction() as tx:
        add(tx, [first_step(job)], plan=None, summary=Summary())
    changes, told = Changes(database), list[int]()
    changes.subscribe(job.id, lambda: told.append(1))
    with database.transaction() as tx:
        apply(tx, job, CancelRequested(at=NOW))
    changes.poll()
    assert told
