"""One round of the starter where a hundred thousand jobs wait, on both databases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, text

from benchmarks.measuring import Context, Row, percentile
from jobs.execution.lanes import LANES
from jobs.launchers.api import Capacity
from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import EngineName, JobKind, StatementSpec
from jobs.lifecycle.states import JobState
from jobs.queues.claims import start_waiting
from jobs.queues.definitions import QueueDef
from jobs.queues.ledger import Ledger
from jobs.queues.rounds import Rounds
from jobs.queues.store import create
from jobs.store.jobs import Summary, row_values
from jobs.store.rows import jobs
from storage.base.ids import JobId, ProjectId, UserId, new_id
from storage.meta.database import Database
from storage.meta.schema import METADATA
from tests.support.install import postgres_bin
from tests.support.servers import postgres

_BATCH = 10_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_NOW = _START + timedelta(hours=2)
_AT_ONCE = 32
_SEATS = dict.fromkeys(LANES, _AT_ONCE)
_AIM = 50.0  # milliseconds


def run(context: Context) -> Iterator[Row]:
    """By how many users wait in how many queues: the fewer, the longer their lines."""
    count = 10_000 if context.quick else 100_000
    shapes = {"1 queue, 1 user": (1, 1), "20 queues, 100 users": (20, 5),
              "200 queues, 2,000 users": (200, 10)}  # fmt: skip
    for server in ("SQLite", "PostgreSQL"):
        if server == "PostgreSQL" and postgres_bin() is None:
            continue
        for shape, (queues, users) in shapes.items():
            with _database(context, server, f"{queues}") as database:
                _fill(database, count, queues=queues, users=users)
                look, claim = _rounds(database)
            yield Row(
                name=f"starter round, {count:,} wait, {shape}, {server}, p50",
                value=percentile(look, 0.5),
                unit="ms",
                baseline=percentile(claim, 0.5),
                beside="with 32 that start",
                aim=f"≤ {_AIM:.0f} ms",
                met=percentile(look, 0.5) <= _AIM,
            )


def _rounds(database: Database) -> tuple[list[float], list[float]]:
    """Milliseconds of looks where nobody can start, then of rounds that claim 32 jobs."""
    ledger = Ledger(
        database=database,
        replica="bench",
        engine_cu={EngineName.SAIL: 1},
        measure=lambda: Capacity(cpu_millis=10**9, memory_bytes=10**15),
    )
    rounds = Rounds(ledger=ledger)
    none = dict.fromkeys(LANES, 0)
    looks, claims = [], []
    for _ in range(30):
        began = time.perf_counter()
        with database.read() as tx:
            seen = rounds.look(tx, seats=none, now=_NOW, most=_AT_ONCE)
        rounds.turn(seen)
        looks.append((time.perf_counter() - began) * 1000)
    for _ in range(20):
        began = time.perf_counter()
        _claim(rounds, database)
        claims.append((time.perf_counter() - began) * 1000)
    return looks, claims


def _claim(rounds: Rounds, database: Database) -> None:
    """What the starter does, without the work itself."""
    with database.read() as tx:
        seen = rounds.look(tx, seats=_SEATS, now=_NOW, most=_AT_ONCE)

    def claim(job: Job, cluster: str | None) -> Claimed:
        return Claimed(
            at=_NOW, owner="bench", lease_until=_NOW + timedelta(hours=1), cluster=cluster
        )

    with database.transaction() as tx:
        started = start_waiting(
            rounds.ledger, tx, seen.start, now=_NOW, claim=claim, pay=lambda _, job: job,
            seats=_SEATS,
        )  # fmt: skip
    assert len(started) == _AT_ONCE
    rounds.turn(seen)


@contextmanager
def _database(context: Context, server: str, name: str) -> Iterator[Database]:
    if server == "SQLite":
        folder = context.home(f"admission-{name}")
        with closing(Database(f"sqlite:///{folder / 'meta.db'}")) as database:
            yield database
        return
    with postgres() as url, closing(Database(url)) as database:
        yield database


def _fill(database: Database, count: int, *, queues: int, users: int) -> None:
    """Batches of an hour, in the order of the submits; one of ten is urgent. A few run."""
    every = timedelta(hours=1) / count
    with database.transaction() as tx:
        METADATA.create_all(tx)
        for number in range(queues):
            create(
                tx,
                QueueDef(
                    project_id=_project(number), name=f"q{number}", max_running=10**6,
                    max_waiting=10**6,
                ),
            )  # fmt: skip
    for start in range(0, count, _BATCH):
        made = [
            _job(number, _START + every * number, queues=queues, users=users)
            for number in range(start, min(start + _BATCH, count))
        ]
        with database.transaction() as tx:
            tx.execute(insert(jobs), [row_values(job, Summary()) for job in made])
    with database.transaction() as tx:
        tx.execute(text("ANALYZE"))


def _project(number: int) -> ProjectId:
    return ProjectId(f"p{number % 10}")


def _job(number: int, at: datetime, *, queues: int, users: int) -> Job:
    queue = number % queues
    runs = number < 40
    return replace(
        _PATTERN,
        id=JobId(new_id("bat", at)),
        project_id=_project(queue),
        queue=f"q{queue}",
        user_id=UserId(f"usr_{number // queues % users}"),
        priority=5 if number % 10 == 0 else 0,
        created_at=at,
        deadline=at + timedelta(hours=6),
        state=JobState.RUNNING if runs else JobState.QUEUED,
        owner="bench" if runs else None,
        lease_until=_NOW if runs else None,
    )


_PATTERN = Job(
    id=JobId("bat_0"),
    kind=JobKind.BATCH,
    project_id=ProjectId("p0"),
    user_id=UserId("usr_0"),
    queue="q0",
    spec=StatementSpec(
        sql="SELECT count(*) FROM orders",
        database="default",
        engine=None,
        engine_reason="",
        statement_type="query",
        timeout=timedelta(hours=6),
        result_ttl=timedelta(hours=24),
        max_rows=1000,
    ),
    state=JobState.QUEUED,
    version=1,
    attempt=0,
    max_attempts=3,
    created_at=_START,
    cpu_millis=1000,
    memory_bytes=2**30,
)
