"""Attempts that are runs of their own: logs, ends, cancels, and lives of the service."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select
from sqlalchemy.engine import make_url

from jobs.launchers.api import LogStream, RunSpec
from jobs.lifecycle.events import Fault
from jobs.lifecycle.runs import run_id_of
from jobs.lifecycle.spec import JobKind, RetryPolicy
from jobs.lifecycle.states import JobState
from jobs.store.rows import jobs
from jobs.store.run_rows import runs_of
from jobs.usage import COMPUTE_CU_MILLIS
from jobs.views import JobView
from storage.base.ids import JobId, RunId
from storage.objects.api import StoreFullError
from storage.objects.folder import FolderStore
from tests.support.commands import run_command, submit_command
from tests.support.jobs import PROJECT
from tests.support.replicas import ENDLESS, FAST, Replica, start_replica
from tests.support.runs import eventually

pytestmark = pytest.mark.xdist_group("runs")


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Replica]:
    root = tmp_path_factory.mktemp("runs")
    shutil.copyfile(sqlite_template, root / "meta.db")
    with start_replica(root, f"sqlite:///{root / 'meta.db'}") as made:
        yield made


def log(replica: Replica, view: JobView, stream: LogStream = LogStream.STDOUT) -> str:
    part = replica.service.log(PROJECT, view.job.id, stream=stream)
    return part.data.decode()


def test_a_command_ends_with_what_it_made(replica: Replica) -> None:
    made = submit_command(replica, "echo out; echo err >&2; touch made-it")
    view = replica.await_end(made.job.id)
    assert (view.job.state, view.facts) == (
        JobState.FINISHED,
        {"exit_code": 0, "made": ["made-it"]},
    )
    assert (log(replica, view), log(replica, view, LogStream.STDERR)) == ("out\n", "err\n")
    [attempt] = view.attempts
    assert (attempt.attempt, attempt.exit_code) == (1, 0)
    assert attempt.run_id == run_id_of(view.job)


def test_its_time_is_metered(replica: Replica) -> None:
    view = replica.await_end(submit_command(replica, "sleep 0.5").job.id)
    assert 500 <= view.usage[COMPUTE_CU_MILLIS] < 30_000


def test_nothing_of_a_run_is_left(replica: Replica) -> None:
    view = replica.await_end(submit_command(replica, "true").job.id)
    folder = replica.parts.launcher.directory(run_id_of(view.job))
    eventually(lambda: not folder.exists())  # it goes after its end was written


def test_a_fault_of_the_user_is_the_end(replica: Replica) -> None:
    view = replica.await_end(submit_command(replica, "echo no; exit 3").job.id)
    assert view.job.failure is not None
    assert (view.job.state, view.job.attempt) == (JobState.FAILED, 1)
    assert view.job.failure.code == "test_exit_code"
    assert log(replica, view) == "no\n"


def test_a_policy_tries_what_the_user_is_to_blame_for_again(replica: Replica) -> None:
    retry = RetryPolicy(attempts=2, on=(Fault.USER,))
    view = replica.await_end(submit_command(replica, "echo try; exit 3", retry=retry).job.id)
    assert (view.job.state, len(view.attempts)) == (JobState.FAILED, 2)
    first = replica.service.log(PROJECT, view.job.id, stream=LogStream.STDOUT, attempt=1)
    assert first.data == b"try\n"


def test_a_log_can_be_read_while_it_is_written(replica: Replica) -> None:
    made = submit_command(replica, "echo first; while [ ! -e go ]; do sleep 0.05; done; echo last")
    replica.await_state(made.job.id, JobState.RUNNING)
    for _ in range(100):
        if log(replica, made):
            break
        threading.Event().wait(0.05)
    assert log(replica, made) == "first\n"
    (replica.parts.launcher.directory(run_id_of(made.job)) / "go").touch()
    view = replica.await_end(made.job.id)
    assert log(replica, view) == "first\nlast\n"


def test_a_cancelled_run_is_gone_before_it_is_called_so(replica: Replica) -> None:
    text = "trap '' TERM; (trap '' TERM; exec setsid sleep 1000) & sleep 1000; sleep 1000"
    made = submit_command(replica, text)
    replica.await_state(made.job.id, JobState.RUNNING)
    replica.service.cancel(PROJECT, made.job.id)
    view = replica.await_end(made.job.id)
    assert view.job.state is JobState.CANCELLED
    assert view.timings["cancel"] < 10_000
    assert run_id_of(view.job) not in set(replica.parts.launcher.running())


def test_runs_that_do_not_answer_cost_no_statement_its_lease(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = submit_command(replica, "sleep 1000").job.id, replica.submit(ENDLESS)
    for job_id in both:
        replica.await_state(job_id, JobState.RUNNING)
    asked, answer = threading.Event(), threading.Event()

    def renew(run_ids: Iterable[RunId], *, at: float) -> None:
        asked.set()
        answer.wait(60)

    with monkeypatch.context() as patched:
        patched.setattr(replica.parts.launcher, "renew", renew)  # a cluster, cut off
        assert asked.wait(60)
        for _ in range(2):
            before = lease(replica, both[1])
            eventually(lambda before=before: lease(replica, both[1]) != before)  # type: ignore[misc]
        answer.set()
    assert replica.service.get(PROJECT, both[1]).job.attempt == 1, "nobody took it over"
    for job_id in both:
        replica.service.cancel(PROJECT, job_id)
        replica.await_end(job_id)


def lease(replica: Replica, job_id: JobId) -> object:
    with replica.parts.database.read() as tx:
        return tx.execute(select(jobs.c.lease_until).where(jobs.c.id == job_id)).scalar_one()


def test_a_run_goes_on_without_its_service(database_url: str, tmp_path: Path) -> None:
    settings = replace(FAST, run_workers=4)
    text = "echo begin; while [ ! -e go ]; do sleep 0.05; done; echo end; touch made-it"
    with start_replica(tmp_path, database_url, settings=settings) as first:
        made = submit_command(first, text)
        before = first.await_state(made.job.id, JobState.RUNNING)
    with start_replica(tmp_path, database_url, settings=settings) as second:
        second.service.add_kind(JobKind.TASK, run_command)
        launcher = second.parts.launcher
        assert run_id_of(before.job) in set(launcher.running()), "it lives on"
        second.service.recover()
        (launcher.directory(run_id_of(before.job)) / "go").touch()
        view = second.await_end(made.job.id)
        assert (view.job.state, view.job.attempt) == (JobState.FINISHED, 1)
        assert view.facts["made"] == ["made-it"]
        assert log(second, view) == "begin\nend\n"
        assert "adopted" in [event.kind for event in view.history]


def test_a_run_that_ended_meanwhile_is_not_run_again(database_url: str, tmp_path: Path) -> None:
    with start_replica(tmp_path, database_url) as first:
        made = submit_command(first, f"sleep 1; echo ran >> {tmp_path}/count; touch made-it")
        first.await_state(made.job.id, JobState.RUNNING)
    threading.Event().wait(2.5)
    with start_replica(tmp_path, database_url) as second:
        second.service.add_kind(JobKind.TASK, run_command)
        second.service.recover()
        view = second.await_end(made.job.id)
        assert (view.job.state, view.job.attempt) == (JobState.FINISHED, 1)
        with second.parts.database.read() as tx:
            assert len(runs_of(tx, made.job.id)) == 1
    assert (tmp_path / "count").read_text() == "ran\n"


def test_a_cancel_meets_a_run_that_was_left(database_url: str, tmp_path: Path) -> None:
    with start_replica(tmp_path, database_url) as first:
        made = submit_command(first, "sleep 1000")
        first.await_state(made.job.id, JobState.RUNNING)
    with start_replica(tmp_path, database_url) as second:
        second.service.add_kind(JobKind.TASK, run_command)
        second.service.cancel(PROJECT, made.job.id)
        second.service.recover()
        view = second.await_end(made.job.id)
        assert view.job.state is JobState.CANCELLED
        assert not list(second.parts.launcher.running())


def test_a_run_that_no_job_wants_is_an_orphan(replica: Replica) -> None:
    made = submit_command(replica, "true")
    view = replica.await_end(made.job.id)
    launcher = replica.parts.launcher
    run_id = run_id_of(replace(view.job, attempt=7))
    launcher.prepare(run_id)
    launcher.launch(
        RunSpec(
            run_id=run_id,
            command=("/bin/sleep", "1000"),
            directory=launcher.directory(run_id),
            merged=False,
        )
    )
    before = replica.service.orphans()
    for _ in range(300):
        if replica.service.orphans() > before:
            break
        threading.Event().wait(0.1)
    assert replica.service.orphans() == before + 1
    assert run_id not in set(launcher.known())


@contextmanager
def away(server_url: str, name: str) -> Iterator[None]:
    """A PostgreSQL database that nobody reaches within the block, as in a restart."""
    server = make_url(server_url).set(drivername="postgresql")
    database = sql.Identifier(name)
    with psycopg.connect(server.render_as_string(hide_password=False), autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        try:
            yield
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_database_that_is_away_costs_no_attempt(
    postgres_url: str, postgres_schema_url: str, database_url: str, tmp_path: Path
) -> None:
    name = make_url(postgres_schema_url).database
    assert name is not None
    text = f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo ran >> {tmp_path}/count"
    with start_replica(tmp_path, database_url) as replica:
        made = submit_command(replica, text)
        replica.await_state(made.job.id, JobState.RUNNING)
        with away(postgres_url, name):
            (tmp_path / "go").touch()
            threading.Event().wait(5)
        view = replica.await_end(made.job.id)
        assert (view.job.state, view.job.attempt) == (JobState.FINISHED, 1)
    assert (tmp_path / "count").read_text() == "ran\n"


def test_a_full_store_costs_no_attempt(tmp_path: Path, sqlite_template: Path) -> None:
    """The log waits for room, and so does the end of the job."""
    shutil.copyfile(sqlite_template, tmp_path / "meta.db")
    with start_replica(tmp_path, f"sqlite:///{tmp_path / 'meta.db'}") as replica:
        store = FullStore(tmp_path / "warehouse")
        object.__setattr__(replica.parts, "store", store)
        made = submit_command(replica, "echo kept")
        assert store.asked.wait(60)
        assert not replica.view(made.job.id).job.state.terminal
        store.full.clear()
        view = replica.await_end(made.job.id)
        assert (view.job.state, view.job.attempt) == (JobState.FINISHED, 1)
        assert log(replica, view) == "kept\n"


class FullStore(FolderStore):
    """A folder whose disk is full until somebody makes room."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.full, self.asked = threading.Event(), threading.Event()
        self.full.set()

    def put(self, key: str, data: bytes) -> None:
        if self.full.is_set():
            self.asked.set()
            raise StoreFullError("no space left")
        super().put(key, data)


def test_a_run_lives_past_its_lease_while_its_service_does(
    tmp_path: Path, sqlite_template: Path
) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "meta.db")
    short = replace(FAST, run_lease=timedelta(seconds=4))
    with start_replica(tmp_path, f"sqlite:///{tmp_path / 'meta.db'}", settings=short) as replica:
        view = replica.await_end(submit_command(replica, "sleep 7; echo done").job.id)
        assert (view.job.state, view.job.attempt) == (JobState.FINISHED, 1)
        assert log(replica, view) == "done\n"
