"""How late jobs are when many schedules are due in the same second.

Lateness is the time from the due time to the job's own ``created_at``, which is taken before it is
parsed and priced. Beside it: how long it takes to hand in as many statements over REST.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from benchmarks.load import CLIENTS
from benchmarks.measuring import Context, Row, milliseconds, percentile
from benchmarks.service import Service, pause, running_service

JOB = {"kind": "statement", "sql": "SELECT 1 AS one", "labels": {"bench": "schedules"}}
_PATIENCE = 180.0  # seconds


def run(context: Context) -> Iterator[Row]:
    """Lateness with many due at once, and with one alone."""
    count = 200 if context.quick else 1_000
    with running_service(context.home("schedules")) as service:
        with service.client() as client:
            client.update_queue("default", max_waiting=100_000)
            client.run("SELECT 1")
        handed_in = _hand_in(service, count)
        alone = _lateness(service, 1, "alone")
        late = _lateness(service, count, "crowd")
    yield Row(
        name=f"lateness p99, {count:,} schedules due in one second",
        value=percentile(late, 0.99),
        unit="ms",
        baseline=handed_in,
        beside=f"as many statements over REST, {CLIENTS} clients",
        aim="≤ 5,000",
        met=percentile(late, 0.99) <= 5_000,
    )
    yield Row(
        name="lateness of one schedule",
        value=alone[0],
        unit="ms",
        aim="≤ 100",
        met=alone[0] <= 100,
    )


def _hand_in(service: Service, count: int) -> float:
    """Milliseconds until as many statements are accepted."""

    def submit(number: int) -> None:
        with service.client() as client:
            for _ in range(number):
                client.submit("SELECT 1 AS one", wait="0s")

    def everybody() -> None:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(submit, [count // CLIENTS] * CLIENTS))

    taken = milliseconds(everybody)
    _await_idle(service)
    return taken


def _lateness(service: Service, count: int, label: str) -> list[float]:
    """Milliseconds from the due time to each job."""
    with service.client() as client:
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5 + count // 50)
        job = {**JOB, "labels": {"bench": label}}
        for number in range(count):
            client.create_schedule(f"{label}-{number}", job=job, at=due.isoformat())
        spare = (due - datetime.now(UTC)).total_seconds()
        if spare <= 0:
            raise RuntimeError(f"the schedules were made {-spare:.0f} s too late")
        pause(spare)
        for _ in range(int(_PATIENCE)):
            pause(1)
            found = list(client.statements(label=f"bench={label}", limit=1000))
            if len(found) == count:
                break
    if len(found) != count:
        raise RuntimeError(f"{len(found)} of {count} schedules were fired")
    _await_idle(service)
    made = [datetime.fromisoformat(statement["created_at"]) for statement in found]
    return [(at - due).total_seconds() * 1000 for at in made]


def _await_idle(service: Service) -> None:
    with service.client() as client:
        for _ in range(int(_PATIENCE)):
            if not any(True for _ in client.statements(state="queued", limit=1)):
                return
            pause(1)
