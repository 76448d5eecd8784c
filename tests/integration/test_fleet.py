"""Jobs of a service with several clusters: spread, drained, cut off; each runs once."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dli.observability.collect import watch_parts
from dli.observability.metrics import Metrics
from jobs.clusters import ClusterAloneError, ClusterMissingError
from jobs.lifecycle.runs import cluster_of, run_id_of
from jobs.lifecycle.spec import JobKind, RetryPolicy
from jobs.lifecycle.states import JobState
from jobs.queues.pods import QueuePods
from jobs.queues.policy import NO_CLUSTER
from jobs.store.jobs import Summary, add, first_step
from jobs.views import JobView
from storage.base.ids import JobId, UserId
from tests.support.commands import run_command, submit_command
from tests.support.fleets import Site, make_fleet
from tests.support.jobs import PROJECT, make_job, make_task_spec
from tests.support.replicas import FAST, Replica, start_replica
from tests.support.runs import eventually, spec

pytestmark = pytest.mark.xdist_group("runs")

ANN = UserId("usr_1")
SETTINGS = replace(FAST, run_workers=16, run_lease=timedelta(seconds=6))


@contextmanager
def service(
    root: Path, template: Path, *, name: str = "one", **fleet: Any
) -> Iterator[tuple[Replica, dict[str, Site]]]:
    """A replica with the clusters ``default`` and ``eu``."""
    database = root / "meta.db"
    if not database.exists():
        shutil.copyfile(template, database)
    made, sites = make_fleet(root / "sites", **{"eu": 8, **fleet})
    url = f"sqlite:///{database}"
    with start_replica(root, url, name=name, fleet=made, settings=SETTINGS) as replica:
        replica.service.add_kind(JobKind.TASK, run_command)
        yield replica, sites


def weigh(replica: Replica, **weights: int) -> None:
    queues = replica.service.queues
    before = queues.get(PROJECT, "default")
    queues.update(replace(before, pods=QueuePods(clusters=weights)))


def waits_as(replica: Replica, job_id: JobId, reason: str) -> JobView:
    for _ in range(200):
        view = replica.view(job_id)
        if view.wait is not None and view.wait.reason == reason:
            return view
        threading.Event().wait(0.05)
    raise AssertionError(f"{view.job.state}: {view.wait}")


def assert_measured(replica: Replica) -> None:
    parts, metrics = replica.parts, Metrics()
    assert parts.clusters is not None
    orphans = replica.service.orphans
    watch_parts(metrics, parts.database, parts.pool, parts.canaries, orphans, parts.clusters)
    told = metrics.exposition()[0].decode()
    for line in (
        'dli_cluster_up{cluster="eu"} 1.0',
        'dli_cluster_drained{cluster="eu"} 0.0',
        'dli_cluster_capacity_cores{cluster="eu"} 8.0',
        'dli_cluster_used_cores{cluster="default"} 6.0',
        'dli_cluster_used_bytes{cluster="eu"} 5.36870912e+08',
        "# TYPE dli_cluster_requests_total counter",
        'dli_cluster_requests_total{cluster="eu",code="201",resource="pods",verb="create"} 2.0',
    ):
        assert line in told


def test_jobs_run_in_clusters_by_weight(tmp_path: Path, sqlite_template: Path) -> None:
    with service(tmp_path, sqlite_template) as (replica, sites):
        weigh(replica, default=3, eu=1)
        hold = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo done"
        made = [submit_command(replica, hold) for _ in range(8)]
        held = [replica.await_state(each.job.id, JobState.RUNNING).job for each in made]
        assert Counter(job.cluster for job in held) == {"default": 6, "eu": 2}
        assert_measured(replica)
        views = replica.parts.clusters
        assert views is not None
        assert {each.name: (each.runs, each.used.cpu_millis) for each in views.views()} == {
            "default": (6, 6000), "eu": (2, 2000),
        }  # fmt: skip
        (tmp_path / "go").touch()
        for job in held:
            view = replica.await_end(job.id)
            assert (view.job.state, view.job.attempt) == (JobState.FINISHED, 1)
            [attempt] = view.attempts
            assert cluster_of(attempt.run_id) == job.cluster
            assert attempt.run_id in sites[str(job.cluster)].started


def test_a_drained_cluster_gets_nothing_new(tmp_path: Path, sqlite_template: Path) -> None:
    with service(tmp_path, sqlite_template) as (replica, sites):
        clusters = replica.parts.clusters
        assert clusters is not None
        weigh(replica, eu=1)
        running = submit_command(replica, f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done")
        replica.await_state(running.job.id, JobState.RUNNING)
        clusters.drain("eu", by=ANN)
        view = waits_as(replica, submit_command(replica, "true").job.id, NO_CLUSTER)
        assert view.wait is not None
        assert "eu is drained" in str(view.wait.detail)
        (tmp_path / "go").touch()
        assert replica.await_end(running.job.id).job.state is JobState.FINISHED, "it goes on"
        assert len(sites["eu"].started) == 1
        clusters.undrain("eu")
        assert replica.await_end(view.job.id).job.state is JobState.FINISHED


def test_what_a_silent_cluster_did_not_start_runs_elsewhere(
    tmp_path: Path, sqlite_template: Path
) -> None:
    """The cluster falls silent between the choice and the launch: nobody was asked before."""
    with service(tmp_path, sqlite_template) as (replica, sites):
        weigh(replica, default=1, eu=1000)
        sites["eu"].silent = True
        once = RetryPolicy(attempts=1)
        made = [submit_command(replica, f"echo >> {tmp_path}/ran", retry=once) for _ in range(6)]
        ends = [replica.await_end(each.job.id) for each in made]
        assert {view.job.state for view in ends} == {JobState.FINISHED}
        assert {view.job.cluster for view in ends} == {"default"}
        moved = [event for view in ends for event in view.history if event.kind == "handed_over"]
        assert moved
        assert {event.detail["unanswered"] for event in moved} == {"eu"}
        assert len((tmp_path / "ran").read_text().splitlines()) == 6
        assert not sites["eu"].started


def test_a_run_left_in_a_cluster_is_adopted_there(tmp_path: Path, sqlite_template: Path) -> None:
    text = f"echo >> {tmp_path}/ran; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done"
    with service(tmp_path, sqlite_template) as (first, _):
        weigh(first, eu=1)
        made = submit_command(first, text)
        first.await_state(made.job.id, JobState.RUNNING)
    with service(tmp_path, sqlite_template) as (second, sites):
        second.service.recover()
        (tmp_path / "go").touch()
        view = second.await_end(made.job.id)
        assert (view.job.state, view.job.attempt, view.job.cluster) == (JobState.FINISHED, 1, "eu")
        assert not sites["eu"].started
        assert not sites["default"].started
    assert len((tmp_path / "ran").read_text().splitlines()) == 1


def test_a_crash_between_choice_and_launch_starts_it_once(
    tmp_path: Path, sqlite_template: Path
) -> None:
    """The choice is in the row of the job, and the run that it names was never made."""
    with service(tmp_path, sqlite_template) as (replica, sites):
        wanted = make_task_spec(command=("/bin/sh", "-c", f"echo >> {tmp_path}/ran"))
        now = replica.parts.clock.now()
        chosen = make_job(
            id=JobId("tsk_1"), kind=JobKind.TASK, spec=wanted, state=JobState.STARTING, attempt=1,
            owner="one", lease_until=now, created_at=now, cpu_millis=1000, cluster="eu",
            deadline=now + timedelta(hours=1), quote=None,
        )  # fmt: skip
        with replica.parts.database.transaction() as tx:
            add(tx, [first_step(chosen)], plan=None, summary=Summary())
        view = replica.await_end(chosen.id)
        assert (view.job.state, view.job.attempt) == (JobState.FINISHED, 2)
        started = [run_id for site in sites.values() for run_id in site.started]
        assert started == [run_id_of(view.job)]
    assert len((tmp_path / "ran").read_text().splitlines()) == 1


def test_replicas_together_start_each_job_once_and_fill_no_cluster_too_much(
    tmp_path: Path, sqlite_template: Path
) -> None:
    sizes = {"default": 2, "eu": 1}
    shared: dict[str, Any] = {"place": "kubernetes", **sizes}
    with (
        service(tmp_path, sqlite_template, **shared) as (one, first),
        service(tmp_path, sqlite_template, name="two", **shared) as (two, second),
    ):
        text = f"echo >> {tmp_path}/ran; sleep 0.3"
        made = [submit_command(replica, text) for _ in range(6) for replica in (one, two)]
        ends = [one.await_end(each.job.id) for each in made]
        started = [
            run for sites in (first, second) for site in sites.values() for run in site.started
        ]
    assert {(view.job.state, view.job.attempt) for view in ends} == {(JobState.FINISHED, 1)}
    assert sorted(started) == sorted(run_id_of(view.job) for view in ends)
    assert len((tmp_path / "ran").read_text().splitlines()) == len(made)
    for name, cores in sizes.items():
        there = [each for view in ends for each in view.attempts if view.job.cluster == name]
        spans = [(each.started_at, each.ended_at or each.started_at) for each in there]
        for at, _ in spans:
            assert sum(began <= at < ended for began, ended in spans) <= cores


def test_a_service_starts_where_an_old_engine_hears_nothing(
    tmp_path: Path, sqlite_template: Path
) -> None:
    """Its lease ends it; the service must not wait for that, nor fail."""
    with service(tmp_path, sqlite_template) as (replica, sites):
        left = spec(replica.parts.launcher, "sleep 1000", lease=timedelta(seconds=30))
        replica.parts.launcher.launch(left)
        sites["eu"].deaf = True
        replica.parts.pool.recover()
        assert left.run_id in set(replica.parts.launcher.running())
        sites["eu"].deaf = False
        assert replica.parts.pool.recover() == 1
        assert left.run_id not in set(replica.parts.launcher.known())


def test_statements_leave_a_drained_cluster(tmp_path: Path, sqlite_template: Path) -> None:
    with service(tmp_path, sqlite_template) as (replica, _):
        clusters, pool = replica.parts.clusters, replica.parts.pool
        assert clusters is not None
        weigh(replica, default=1, eu=1000)
        assert replica.query("SELECT 1 AS n") == [{"n": 1}]
        [first] = pool.views()
        clusters.drain(cluster_of(first.run_id), by=ANN)
        assert replica.query("SELECT 2 AS n") == [{"n": 2}]
        second = pool.views()[-1]
        assert cluster_of(second.run_id) != cluster_of(first.run_id)
        eventually(lambda: [each.run_id for each in pool.views()] == [second.run_id])


def test_an_engine_starts_where_there_is_an_answer(tmp_path: Path, sqlite_template: Path) -> None:
    with service(tmp_path, sqlite_template) as (replica, sites):
        weigh(replica, default=1, eu=1000)
        sites["eu"].silent = True
        done = replica.run("SELECT 1 AS n")
        assert (done.job.state, done.job.attempt) == (JobState.FINISHED, 1)
        views = replica.parts.pool.views
        assert [cluster_of(each.run_id) for each in views()] == ["default"]
        weigh(replica, eu=1)
        sites["eu"].silent = False
        eventually(lambda: not views())  # it ends where its queue is no more


def test_drains_are_of_clusters_that_there_are(tmp_path: Path, sqlite_template: Path) -> None:
    with service(tmp_path, sqlite_template) as (replica, _):
        clusters = replica.parts.clusters
        assert clusters is not None
        with pytest.raises(ClusterMissingError, match="eur") as caught:
            clusters.drain("eur", by=ANN)
        assert caught.value.hint == "did you mean eu?"
        clusters.drain("eu", by=ANN)
        clusters.drain("eu", by=UserId("usr_2"))
        drain = {each.name: each.drain for each in clusters.views()}
        assert drain["eu"] is not None
        assert (drain["eu"].by, drain["default"]) == (ANN, None)
        alone = replace(clusters, launcher=sites_of(tmp_path))
        with pytest.raises(ClusterAloneError):
            alone.drain("default", by=ANN)
        assert [each.name for each in alone.views()] == ["default"]


def sites_of(root: Path) -> Site:
    return Site(root / "alone")
