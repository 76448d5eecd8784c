"""Canaries and trials in rows, and what is chosen by them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from jobs.canaries import store
from jobs.canaries.canaries import Canaries
from jobs.canaries.rows import canaries
from jobs.canaries.spec import Canary, CanaryExistsError, CanaryMissingError, CanaryState, EndedFor
from jobs.canaries.trials import Outcome, TrialKind
from jobs.lifecycle.events import Fault
from jobs.lifecycle.spec import RetryPolicy
from storage.base.clock import ManualClock
from storage.base.ids import CanaryId, JobId, ProjectId, UserId
from storage.meta.database import Database
from tests.support.canaries import make_canary, make_trial
from tests.support.jobs import NOW, PROJECT, make_job, make_spec

QUEUE = "default"
OTHER = ProjectId("prj_other")


def add(database: Database, *made: Canary) -> None:
    with database.transaction() as tx:
        for each in made:
            store.create(tx, each)


def test_a_canary_comes_back_as_it_was_kept(database: Database) -> None:
    made = make_canary(max_errors=5, replaces="old:1")
    add(database, made)
    with database.read() as tx:
        assert store.running(tx, PROJECT, QUEUE) == made
        assert store.running(tx, OTHER, QUEUE) is None
        assert store.all_running(tx) == (made,)


def test_a_queue_has_one_at_a_time(database: Database) -> None:
    add(database, make_canary(), make_canary(id=CanaryId("cny_2"), project_id=OTHER))
    with pytest.raises(CanaryExistsError):
        add(database, make_canary(id=CanaryId("cny_3")))


def test_the_database_itself_allows_one_only(database: Database) -> None:
    """For two replicas that look at the same moment."""
    add(database, make_canary())
    values = {
        "id": "cny_2", "project_id": PROJECT, "queue": QUEUE, "image": "x:1", "percent": 1,
        "shadow": 0, "state": "running", "started_at": NOW, "started_by": "usr_1",
    }  # fmt: skip
    with pytest.raises(IntegrityError), database.transaction() as tx:
        tx.execute(insert(canaries).values(values))


def test_it_ends_once_and_stays_in_the_history(database: Database) -> None:
    made = make_canary()
    add(database, made)
    ann = UserId("usr_ann")
    with database.transaction() as tx:
        ended = store.end(
            tx, made, CanaryState.PROMOTED, at=NOW, why=EndedFor.ASKED, by=ann, figures={"a": 1}
        )
    with pytest.raises(CanaryMissingError), database.transaction() as tx:
        store.end(tx, made, CanaryState.ROLLED_BACK, at=NOW, why=EndedFor.ASKED, by=ann, figures={})
    with pytest.raises(CanaryMissingError), database.transaction() as tx:
        store.change(tx, made)
    add(database, make_canary(id=CanaryId("cny_2")))
    with database.read() as tx:
        newest, before = store.history(tx, PROJECT, QUEUE, limit=9)
    assert (newest.id, before) == ("cny_2", ended)


def test_trials_are_counted_by_what_they_came_to(database: Database) -> None:
    made = make_canary()
    add(database, made)
    with database.transaction() as tx:
        store.add_trial(tx, make_trial(job_id=JobId("a"), kind=TrialKind.SPLIT,
                                       outcome=Outcome.FAILED, code="boom"))  # fmt: skip
        store.add_trial(tx, make_trial(job_id=JobId("b"), outcome=Outcome.EQUAL))
        store.add_trial(tx, make_trial(job_id=JobId("c"), outcome=Outcome.DIFFERENT))
        store.add_trial(tx, make_trial(job_id=JobId("d"), outcome=Outcome.EQUAL, canary_cu_ms=7))
        store.add_trial(tx, make_trial(job_id=JobId("c"), outcome=Outcome.EQUAL))
        store.rescue(tx, made.id, JobId("a"))
        store.rescue(tx, made.id, JobId("b"))
        store.add_dropped(tx, made.id, 3)
        found = store.get_running(tx, PROJECT, QUEUE)
        told = store.report(tx, found)
    assert told.counts == {
        (TrialKind.SPLIT, Outcome.RESCUED): 1,
        (TrialKind.SHADOW, Outcome.EQUAL): 3,
    }
    assert [(each.job_id, each.code) for each in told.worst] == [("a", "boom")]
    assert (told.dropped, told.shadow_cu_ms) == (3, 7)


def test_old_trials_are_forgotten(database: Database) -> None:
    made = make_canary()
    add(database, made)
    clock = ManualClock(NOW)
    runtime = Canaries(database, clock, kept=timedelta(days=1))
    with database.transaction() as tx:
        runtime.keep(tx, make_trial(at=NOW - timedelta(days=2)))
        runtime.keep(tx, make_trial(job_id=JobId("new"), at=NOW))
    assert runtime.sweep() == 1
    with database.read() as tx:
        assert store.report(tx, made).total == 1


def chosen(database: Database, **of_job: object) -> tuple[str | None, bool, bool]:
    runtime = Canaries(database, ManualClock(NOW), own_image=lambda project, queue: "own:1")
    choice = runtime.choose(make_job(**{"attempt": 1} | of_job))
    return choice.image, choice.splits, choice.shadows


def test_without_a_canary_all_run_on_the_queues_own(database: Database) -> None:
    assert chosen(database) == ("own:1", False, False)


def test_first_attempts_go_to_the_canary_and_others_do_not(database: Database) -> None:
    add(database, make_canary(image="new:1", percent=100, shadow=100))
    assert chosen(database) == ("new:1", True, False)
    assert chosen(database, attempt=2) == ("own:1", False, True)


def test_what_could_not_be_tried_again_never_goes_there(database: Database) -> None:
    add(database, make_canary(image="new:1", percent=100))
    assert chosen(database, max_attempts=1) == ("own:1", False, False)
    never = make_spec(retry=RetryPolicy(on=(Fault.MEMORY,)))
    assert chosen(database, spec=never) == ("own:1", False, False)


def test_a_change_by_another_replica_is_seen_a_second_later(database: Database) -> None:
    clock = ManualClock(NOW)
    runtime = Canaries(database, clock, own_image=lambda project, queue: "own:1")
    assert runtime.images(PROJECT, QUEUE) == {"own:1"}
    add(database, make_canary(image="new:1"))
    assert runtime.images(PROJECT, QUEUE) == {"own:1"}
    clock.advance(timedelta(seconds=1.1))
    assert runtime.images(PROJECT, QUEUE) == {"own:1", "new:1"}


def test_a_canary_is_over_once_it_ended_or_another_has_its_place(database: Database) -> None:
    runtime = Canaries(database, ManualClock(NOW))
    made = make_canary()
    add(database, made)
    assert not runtime.is_over(made)
    with database.transaction() as tx:
        store.end(
            tx, made, CanaryState.ROLLED_BACK, at=NOW, why=EndedFor.ASKED, by=None, figures={}
        )
    runtime.forget()
    assert runtime.is_over(made)
    other = make_canary(id=CanaryId("cny_2"))
    add(database, other)
    runtime.forget()
    assert (runtime.is_over(made), runtime.is_over(other)) == (True, False)
