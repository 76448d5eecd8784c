"""Engines and replicas that die: tried again, at most three times, published at most once."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from jobs.lifecycle.states import JobState
from jobs.service import JobFilter
from tests.support.jobs import PROJECT
from tests.support.replicas import ENDLESS, FAST, Replica, start_replica

pytestmark = pytest.mark.xdist_group("statements")

#: A few seconds of work.
LONG = "SELECT count(*) AS n FROM range(60000) a CROSS JOIN range(20000) b WHERE a.id < b.id"
N = 199_990_000
#: Outlasts a lease of half a second and a look of the reaper, also on a fast machine.
LONGER = "SELECT count(*) AS n FROM range(60000) a CROSS JOIN range(35000) b WHERE a.id < b.id"
MORE = 612_482_500


def kill_engine(replica: Replica) -> None:
    """kill -9 of the only engine."""
    (view,) = (each for each in replica.parts.pool.views() if each.state == "ready")
    pid = replica.parts.launcher.status(view.run_id).pid
    assert pid is not None
    psutil.Process(pid).kill()


def test_a_lost_engine_costs_an_attempt(tmp_path: Path, database_url: str) -> None:
    with start_replica(tmp_path, database_url) as replica:
        job_id = replica.submit(LONG)
        replica.await_state(job_id, JobState.RUNNING)
        kill_engine(replica)
        view = replica.await_end(job_id)
        assert replica.rows(view) == [{"n": N}]
        assert view.job.attempt == 2
        kinds = [event.kind for event in view.history]
        assert kinds.count("claimed") == 2
        lost = next(event for event in view.history if event.kind == "failed")
        assert (lost.state, lost.detail["fault"]) == (JobState.QUEUED, "platform")
        assert [event.version for event in view.history] == list(range(1, len(kinds) + 1))


def test_engines_that_die_each_time_are_enough_some_time(tmp_path: Path, database_url: str) -> None:
    with start_replica(tmp_path, database_url) as replica:
        job_id = replica.submit(ENDLESS)
        killed = 0
        while not (view := replica.view(job_id)).job.state.terminal:
            if view.job.state is JobState.RUNNING and view.job.attempt > killed:
                kill_engine(replica)
                killed += 1
            threading.Event().wait(0.05)
        assert view.job.state is JobState.FAILED
        assert 2 <= killed == view.job.attempt <= 3
        assert view.job.failure is not None
        assert view.job.failure.code in ("engine_lost", "engine_out_of_memory")
        assert replica.query("SELECT 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_a_silent_replica_is_replaced_and_publishes_nothing(
    tmp_path: Path, database_url: str, *, write: bool
) -> None:
    """The first replica renews no lease and sees nothing, as one that is stopped for a while."""
    short = replace(FAST, lease=timedelta(milliseconds=500))
    with (
        start_replica(tmp_path, database_url, name="silent", settings=short, loops=()) as silent,
        start_replica(tmp_path, database_url, name="other") as other,
    ):
        other.run("CREATE TABLE t AS SELECT CAST(0 AS BIGINT) AS n")
        sql = f"INSERT INTO t {LONGER}" if write else LONGER
        job_id = silent.submit(sql)
        view = other.await_end(job_id)
        assert view.job.state is JobState.FINISHED, view.job.failure
        assert view.job.attempt == 2
        owners = [event.detail["owner"] for event in view.history if event.kind == "claimed"]
        assert owners == ["silent", "other"]
        until = silent.parts.clock.monotonic() + 60
        while silent.service.running():
            assert silent.parts.clock.monotonic() < until
            threading.Event().wait(0.1)
        assert other.view(job_id).job == view.job, "what came back late changed nothing"
        if write:
            found = other.query("SELECT n FROM t ORDER BY n")
            assert [row["n"] for row in found] == [0, MORE]
        else:
            assert other.rows(view) == [{"n": MORE}]


def test_a_replica_that_was_held_up_goes_on(tmp_path: Path, database_url: str) -> None:
    """It renews too late, as after the sleep of a laptop, and nobody else took its job over."""
    short = replace(FAST, lease=timedelta(milliseconds=500))
    loops = ("starter", "watch", "reaper", "changes")
    with start_replica(tmp_path, database_url, settings=short, loops=loops) as replica:
        view = replica.run(LONGER)
        assert (view.job.attempt, replica.rows(view)) == (1, [{"n": MORE}])


def test_a_cancel_reaches_the_other_replica(tmp_path: Path, database_url: str) -> None:
    with (
        start_replica(tmp_path, database_url, name="one") as one,
        start_replica(tmp_path, database_url, name="two") as two,
    ):
        job_id = one.submit(ENDLESS)
        two.await_state(job_id, JobState.RUNNING)
        view = two.service.cancel(PROJECT, job_id)
        assert view.job.state is JobState.CANCELLING
        assert two.await_end(job_id, seconds=20).job.state is JobState.CANCELLED


def test_a_replica_without_workers_leaves_it_to_others(tmp_path: Path, database_url: str) -> None:
    door = replace(FAST, workers=0)
    with (
        start_replica(tmp_path, database_url, name="door", settings=door) as front,
        start_replica(tmp_path, database_url, name="worker") as worker,
    ):
        view = front.run("SELECT 1 AS one")
        assert front.rows(view) == [{"one": 1}]
        owners = [event.detail["owner"] for event in view.history if event.kind == "claimed"]
        assert owners == ["worker"]
        assert worker.view(view.job.id).job == view.job


def test_a_drained_replica_hands_over(tmp_path: Path, database_url: str) -> None:
    with (
        start_replica(tmp_path, database_url, name="one") as one,
        start_replica(tmp_path, database_url, name="two") as two,
    ):
        job_id = one.submit(LONG)
        one.await_state(job_id, JobState.RUNNING)
        assert not one.service.drain(timedelta(0))
        view = two.await_end(job_id)
        assert two.rows(view) == [{"n": N}]
        assert "handed_over" in [event.kind for event in view.history]
        assert (view.job.attempt, view.job.max_attempts) == (2, 4)


def test_a_drain_waits_for_what_runs(tmp_path: Path, database_url: str) -> None:
    with start_replica(tmp_path, database_url) as replica:
        job_id = replica.submit(LONG)
        assert replica.service.drain(timedelta(seconds=60))
        assert replica.view(job_id).job.state is JobState.FINISHED
        late = replica.submit("SELECT 1 AS one")
        assert replica.view(late).job.state is JobState.QUEUED, "kept for another replica"


def test_what_a_dead_life_owned_is_taken_back_at_once(tmp_path: Path, database_url: str) -> None:
    """The replica of the same home starts again: it need not wait for its own lease to end."""
    long_lease = replace(FAST, lease=timedelta(hours=1))
    with start_replica(tmp_path, database_url, name="one", settings=long_lease, loops=()) as before:
        job_id = before.submit(ENDLESS)
        before.await_state(job_id, JobState.STARTING, JobState.RUNNING)
        with start_replica(tmp_path / "again", database_url, name="one") as again:
            assert again.service.recover() == 1
            again.await_state(job_id, JobState.RUNNING)
            view = again.view(job_id)
            assert view.job.attempt == 2
            again.service.cancel(PROJECT, job_id)
            again.await_end(job_id)
            page = again.service.list(PROJECT, JobFilter(), cursor=None, limit=9)
            assert len(page.items) == 1
