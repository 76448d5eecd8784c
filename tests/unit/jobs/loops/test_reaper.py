"""The reaper moves what it can, whatever becomes of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import update

from jobs.execution.lanes import RUNS
from jobs.execution.parts import Parts
from jobs.execution.workers import Workers
from jobs.launchers.api import RunSpec, RunState, RunStatus
from jobs.launchers.local import LocalLauncher
from jobs.lifecycle.events import Claimed, LeaseExpired
from jobs.lifecycle.job import Job
from jobs.lifecycle.runs import run_id_of
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.loops.adoption import Adoption
from jobs.loops.reaper import Reaper
from jobs.store.jobs import Summary, add, apply, first_step, load, renew, renew_client
from jobs.store.rows import jobs as job_rows
from storage.base.ids import JobId, RunId
from tests.support.fleets import make_fleet
from tests.support.jobs import SPECS, make_job
from tests.support.replicas import Replica, start_replica
from tests.support.runs import ended, eventually


def _lost(
    replica: Replica,
    job_id: str,
    *,
    kind: JobKind = JobKind.TASK,
    state: JobState = JobState.RUNNING,
    owner: str = "gone",
    silent: timedelta = timedelta(hours=1),
) -> Job:
    """A job whose owner was silent, for an hour beyond its lease by default."""
    now = replica.parts.clock.now()
    job = make_job(
        id=JobId(job_id),
        kind=kind,
        spec=SPECS[kind],
        state=state,
        run_id=RunId("run_engine"),
        attempt=1,
        owner=owner,
        started_at=now - timedelta(hours=2),
        lease_until=now - silent,
        deadline=None,
    )
    with replica.parts.database.transaction() as tx:
        add(tx, [first_step(job)], plan=None, summary=Summary())
    return job


def _after(replica: Replica, job: Job) -> Job:
    with replica.parts.database.read() as tx:
        after = load(tx, job.id)
    assert after is not None
    return after


def reaper(
    parts: Parts,
    *,
    adopt: Callable[[Job], bool] = lambda _: False,
    runs_here: Callable[[Job], bool] = lambda _: False,
) -> Reaper:
    return Reaper(parts=parts, adopt=adopt, runs_here=runs_here)


class Powerless(LocalLauncher):
    """Cannot end what it is asked to."""

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        return RunStatus(run_id=run_id, state=RunState.RUNNING)


@pytest.mark.parametrize(("ends", "state"), [(False, "cancelling"), (True, "cancelled")])
def test_cancelled_is_not_said_before_the_engine_ended(
    database_url: str, tmp_path: Path, ends: bool, state: str
) -> None:
    with start_replica(tmp_path, database_url, loops=()) as replica:
        lost = _lost(replica, "stm_1", kind=JobKind.STATEMENT, state=JobState.CANCELLING)
        launcher = LocalLauncher(tmp_path / "runs") if ends else Powerless(tmp_path / "runs")
        parts = replace(replica.parts, launcher=launcher)
        reaper(parts).tick()
        assert _after(replica, lost).state.value == state


def test_a_job_that_cannot_be_moved_strands_no_other(database_url: str, tmp_path: Path) -> None:
    with start_replica(tmp_path, database_url, loops=()) as replica:
        stuck, other = _lost(replica, "tsk_1"), _lost(replica, "tsk_2")

        def adopt(job: Job) -> bool:
            if job.id == stuck.id:
                raise RuntimeError("a mistake of ours")
            return False

        with pytest.raises(RuntimeError):
            reaper(replica.parts, adopt=adopt).tick()
        states = (_after(replica, other).state, _after(replica, stuck).state)
    assert states == (JobState.QUEUED, JobState.RUNNING)


@pytest.mark.parametrize(
    ("owner", "silent", "state"),
    [
        ("gone", timedelta(seconds=2), JobState.RUNNING),  # its warden may be about to end it
        ("gone", timedelta(seconds=11), JobState.QUEUED),
        ("one", timedelta(seconds=2), JobState.QUEUED),  # whose launcher knows that it has ended
    ],
)
def test_a_run_of_another_replica_has_time_to_end(
    database_url: str, tmp_path: Path, owner: str, silent: timedelta, state: JobState
) -> None:
    with start_replica(tmp_path, database_url, loops=()) as replica:
        lost = _lost(replica, "tsk_1", owner=owner, silent=silent)
        reaper(replica.parts).tick()
        assert _after(replica, lost).state is state


def test_a_lease_that_was_renewed_meanwhile_holds(database_url: str, tmp_path: Path) -> None:
    with start_replica(tmp_path, database_url, loops=()) as replica:
        lost, database = _lost(replica, "tsk_1"), replica.parts.database

        def renewed_by_its_owner(job: Job) -> bool:
            with database.transaction() as tx:
                renew(tx, "gone", [job.id], replica.parts.clock.now() + timedelta(minutes=1))
            return False

        reaper(replica.parts, adopt=renewed_by_its_owner).tick()
        assert _after(replica, lost).state is JobState.RUNNING


def test_a_job_that_moved_meanwhile_is_left(database_url: str, tmp_path: Path) -> None:
    """Another replica's reaper was first, and who claimed the job then has lost it as well."""
    with start_replica(tmp_path, database_url, loops=()) as replica:
        lost, parts = _lost(replica, "tsk_1"), replica.parts
        past = parts.clock.now() - timedelta(minutes=30)

        def moved_by_another(job: Job) -> bool:
            with parts.database.transaction() as tx:
                freed = apply(tx, job, LeaseExpired(at=past, not_before=past))
                apply(tx, freed, Claimed(at=past, owner="other", lease_until=past))
            return False

        reaper(parts, adopt=moved_by_another).tick()
        after = _after(replica, lost)
    assert (after.state, after.owner, after.attempt) == (JobState.STARTING, "other", 2)


def test_what_a_lost_statement_began_to_write_is_given_up(
    database_url: str, tmp_path: Path
) -> None:
    """Whoever has it then may be alive and late: what it wrote can be committed no more."""
    with start_replica(tmp_path, database_url, loops=()) as replica:
        lost, parts = _lost(replica, "stm_1", kind=JobKind.STATEMENT), replica.parts
        with parts.database.transaction() as tx:
            for attempt in (1, 2):
                parts.tables.stage(
                    tx, project_id=lost.project_id, table_id=None, job_id=lost.id, attempt=attempt
                )
        reaper(parts).tick()
        with parts.database.transaction() as tx:
            assert parts.tables.abandon(tx, lost.id, attempt=1) == 0
            assert parts.tables.abandon(tx, lost.id, attempt=2) == 1


def test_a_client_that_comes_back_meanwhile_keeps_its_job(
    database_url: str, tmp_path: Path
) -> None:
    with start_replica(tmp_path, database_url, loops=()) as replica:
        parts = replica.parts
        now = parts.clock.now()
        gone = make_job(deadline=None, client_until=now - timedelta(seconds=1))
        jobs = [replace(gone, id=JobId(name)) for name in ("stm_1", "stm_2")]
        with parts.database.transaction() as tx:
            for job in jobs:
                add(tx, [first_step(job)], plan=None, summary=Summary())

        def come_back(job_id: JobId) -> None:
            with parts.database.transaction() as tx:
                renew_client(tx, job_id, now + timedelta(minutes=1))

        # The change of whichever is first is told before the other is looked at again.
        parts.changes.subscribe(jobs[0].id, partial(come_back, jobs[1].id))
        parts.changes.subscribe(jobs[1].id, partial(come_back, jobs[0].id))
        reaper(parts).tick()
        states = {_after(replica, job).state for job in jobs}
    assert states == {JobState.QUEUED, JobState.CANCELLED}


@pytest.mark.parametrize(
    ("silent", "since", "lost"),
    [
        (False, timedelta(seconds=1), True),
        (True, timedelta(seconds=1), False),
        (True, timedelta(hours=1), True),
    ],
)
def test_a_run_in_a_silent_cluster_is_lost_when_its_lease_is_over(
    database_url: str, tmp_path: Path, silent: bool, since: timedelta, lost: bool
) -> None:
    """An own run of before, whose job was let go of at the start: it may live for a lease yet."""
    fleet, sites = make_fleet(tmp_path / "sites", eu=4)
    sites["eu"].silent = silent
    fleet.look()
    with start_replica(tmp_path, database_url, loops=(), fleet=fleet) as replica:
        job = _lost(replica, "tsk_1", owner="one", silent=since)
        with replica.parts.database.transaction() as tx:
            there = update(job_rows).where(job_rows.c.id == job.id).values(cluster="eu")
            tx.execute(there)
        reaper(replica.parts).tick()
        assert (_after(replica, job).state is not JobState.RUNNING) is lost


def test_a_run_of_this_replica_waits_for_a_seat(database_url: str, tmp_path: Path) -> None:
    """The starter takes all seats for a moment, and jobs may have them for long."""
    with start_replica(tmp_path, database_url, loops=()) as replica:
        lost, parts = _lost(replica, "tsk_1", owner="one"), replica.parts
        run_id = run_id_of(lost)
        parts.launcher.launch(
            RunSpec(
                run_id=run_id,
                command=("/bin/sh", "-c", "true"),
                directory=parts.launcher.directory(run_id),
            )
        )
        ended(parts.launcher, run_id)
        begun: list[JobId] = []
        workers = Workers(
            seats={RUNS: 1},
            run=lambda execution: begun.append(execution.job.id),
            stop_work=lambda _: None,
            ended=lambda _: None,
        )
        look = reaper(parts, adopt=Adoption(parts=parts, workers=workers).adopt)
        assert workers.take_seats(RUNS)
        look.tick()
        assert (_after(replica, lost).state, begun) == (JobState.RUNNING, [])
        workers.leave_seats(RUNS)
        look.tick()
        eventually(lambda: begun == [lost.id])
        workers.shut()


@pytest.mark.parametrize(
    ("owner", "here", "kept"),
    [("one", True, True), ("one", False, False), ("gone", True, False)],
    ids=["at_it", "left_it", "of_another"],
)
def test_what_this_replica_is_at_is_not_lost_to_itself(
    database_url: str, tmp_path: Path, owner: str, here: bool, kept: bool
) -> None:
    with start_replica(tmp_path, database_url, loops=()) as replica:
        job = _lost(replica, "stm_1", kind=JobKind.STATEMENT, owner=owner)
        reaper(replica.parts, runs_here=lambda _: here).tick()
        assert (_after(replica, job).state is JobState.RUNNING) is kept
