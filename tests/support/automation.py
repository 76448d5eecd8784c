"""Schedules, triggers and webhooks for tests: real rows and a clock by hand; jobs only wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dli.billing.allowance import PricedAllowance
from dli.billing.pricebook import read_price_book
from dli.metering.ledger import UsageLedger
from jobs.automation import Automation, News
from jobs.documents import Asked, Document, Submitter
from jobs.errors import RequestInvalidError
from jobs.execution.ending import Ending
from jobs.firings import store as firing_store
from jobs.firings.errors import AuthorRightsError
from jobs.firings.spec import Firing
from jobs.lifecycle.events import CancelRequested
from jobs.lifecycle.job import Job
from jobs.lifecycle.states import JobState
from jobs.notices.targets import Targets
from jobs.schedules.spec import Schedule
from jobs.schedules.times import Cron
from jobs.store import idempotency
from jobs.store.idempotency import KeyUse
from jobs.store.jobs import Summary, add, apply, first_step, job_of
from jobs.store.rows import jobs
from jobs.usage import Quote
from jobs.views import JobView
from storage.base.clock import ManualClock
from storage.base.errors import ServiceError
from storage.base.ids import JobId, ProjectId, UserId, new_id
from storage.meta.database import Database, Tx
from storage.objects.buckets import S3Settings
from storage.objects.locations import Locations
from tests.support.jobs import NOW, PROJECT, make_job, make_spec

AUTHOR = UserId("usr_author")
STATEMENT: Document = {"kind": "statement", "sql": "SELECT 1 AS one"}


@dataclass(slots=True, kw_only=True)
class Desk:
    """Job documents as rows that wait: one job for one key, as the real one; and the authors."""

    database: Database
    clock: ManualClock
    errors: list[ServiceError] = field(default_factory=list)  #: to raise in turn, then none
    documents: list[Document] = field(default_factory=list)  #: of the jobs that were kept
    late: list[tuple[str, timedelta]] = field(default_factory=list)  #: what was told of firings
    gone: set[UserId] = field(default_factory=set)  #: authors without rights

    def check(self, document: Document, project_id: ProjectId) -> None:
        if document.get("kind") != "statement" or not isinstance(document.get("sql"), str):
            raise RequestInvalidError("sql: is missing", field="sql")

    def submit(self, document: Document, *, by: Submitter, key: str) -> JobView:
        if self.errors:
            raise self.errors.pop(0)
        labels = {**document.get("labels", {}), **by.labels}
        now = self.clock.now()
        job = make_job(
            id=JobId(new_id("stm", now)),
            project_id=by.project_id,
            user_id=by.user_id,
            spec=make_spec(labels=labels),
            created_at=now,
            deadline=now + timedelta(days=400),
        )
        with self.database.transaction() as tx:
            use = KeyUse(job_id=job.id, body_hash="")
            if not idempotency.take(tx, by.project_id, key, use=use, at=now):
                known = idempotency.find(tx, by.project_id, key)
                assert known is not None
                return JobView(job=job_of(tx.execute(_job(known.job_id)).one()))
            add(tx, [first_step(job)], plan=None, summary=Summary())
        self.documents.append(document)
        return JobView(job=job)

    def submit_all(self, asked: Sequence[Asked]) -> Sequence[JobView | None]:
        if self.errors:
            return [None for _ in asked]
        return [self.submit(each.document, by=each.by, key=each.key) for each in asked]

    def estimate(self, document: Document, *, by: Submitter) -> Quote | None:
        return None

    def may_write(self, tx: Tx, project_id: ProjectId, user_id: UserId) -> bool:
        if user_id in self.gone:
            raise AuthorRightsError("the author has left", user=user_id)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """One replica of all that happens by itself, whose loops a test turns by hand."""

    database: Database
    clock: ManualClock
    desk: Desk
    automation: Automation
    ending: Ending

    def turn(self) -> None:
        """Everything that is to be done now."""
        schedules, triggers = self.automation.schedules, self.automation.triggers
        for tick in (schedules.ticker.tick, triggers.watcher.tick, self.automation.submits.tick):
            while tick():
                pass

    def pass_time(self, span: timedelta, *, step: timedelta = timedelta(seconds=1)) -> None:
        """Let time pass in steps, with a turn after each."""
        until = self.clock.now() + span
        while self.clock.now() < until:
            self.clock.advance(min(step, until - self.clock.now()))
            self.turn()

    def schedule(self, **changes: Any) -> Schedule:
        """A schedule that is due each minute, with ``changes``."""
        return self.automation.schedules.create(make_schedule(at=self.clock.now(), **changes))

    def firings(self, source_id: str) -> list[Firing]:
        """Of a schedule or trigger, the oldest first."""
        with self.database.read() as tx:
            page = firing_store.page(tx, source_id, cursor=None, limit=1000)
        return list(reversed(page.items))

    def told(self, source_id: str) -> list[str]:
        """What became of each due time, in short."""
        return [
            f"{firing.due_at:%d %H:%M:%S} {firing.state.value}"
            + (f" {firing.reason.value}" if firing.reason else "")
            for firing in self.firings(source_id)
        ]

    def jobs(self) -> list[Job]:
        """All jobs, the oldest first."""
        with self.database.read() as tx:
            return [job_of(row) for row in tx.execute(select(jobs).order_by(jobs.c.id))]

    def end(self, job_id: JobId) -> Job:
        """Bring a job to its end, as a cancel does."""
        with self.database.transaction() as tx:
            job = job_of(tx.execute(_job(job_id)).one())
            if job.state.terminal:
                return job
            after = apply(tx, job, CancelRequested(at=self.clock.now()))
            assert after.state is JobState.CANCELLED
            self.ending.close(tx, after, used={}, at=self.clock.now())
        return after


def make_schedule(*, at: datetime = NOW, **changes: Any) -> Schedule:
    """Each minute, of a statement, with ``changes``."""
    values: dict[str, Any] = {
        "id": new_id("sch", at),
        "project_id": PROJECT,
        "name": "each-minute",
        "rule": Cron(expression="* * * * *"),
        "document": STATEMENT,
        "user_id": AUTHOR,
        "created_at": at,
        "updated_at": at,
    }
    return Schedule(**values | changes)


def make_office(
    database: Database,
    clock: ManualClock,
    folder: Path,
    *,
    private: bool = True,
    s3: S3Settings | None = None,
) -> Office:
    """A replica over a database with its schema; several may share it. ``s3`` has a bucket."""
    news = News.make(clock)
    desk = Desk(database=database, clock=clock)
    allowance = PricedAllowance(read_price_book(), clock)
    ending = Ending(allowance=allowance, sink=UsageLedger(), notices=news.notices)
    office: list[Office] = []
    automation = Automation.make(
        database=database,
        documents=desk,
        authors=desk,
        cancel=lambda project_id, job_id: office[0].end(job_id),
        locations=Locations(folders=[folder], s3=s3, buckets=["bucket"]),
        targets=Targets(allow_private=private, timeout=timedelta(seconds=2)),
        news=news,
        lateness=lambda source, late: desk.late.append((source, late)),
    )
    made = Office(database=database, clock=clock, desk=desk, automation=automation, ending=ending)
    office.append(made)
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request that came to a target."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Target:
    """A server that is told of things."""

    url: str
    statuses: list[int] = field(default_factory=list)  #: to answer in turn, then 200
    received: list[Received] = field(default_factory=list)


@contextmanager
def target() -> Iterator[Target]:
    """A target that listens on loopback until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got = Received(path=self.path, headers=dict(self.headers.items()), body=body)
            made.received.append(got)
            status = made.statuses.pop(0) if made.statuses else 200
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", made.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Target(url=f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _job(job_id: JobId) -> Any:
    return select(jobs).where(jobs.c.id == job_id)
