"""What a replica finds out about the attempts that it is at."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

from jobs.execution.execution import Execution
from jobs.execution.lanes import STATEMENTS
from jobs.execution.watch import Watch
from jobs.execution.workers import Workers
from jobs.lifecycle.states import JobState
from jobs.store.jobs import Summary, add, first_step
from tests.support.jobs import make_job
from tests.support.replicas import start_replica
from tests.support.runs import eventually
from tests.unit.jobs.store.test_codec import QUERY


def test_an_attempt_that_others_took_over_is_stopped_and_no_other(
    database_url: str, tmp_path: Path
) -> None:
    """Both may be here: the next attempt comes back to who lost the first, which works on."""
    with start_replica(tmp_path, database_url, loops=()) as replica:
        parts, go = replica.parts, threading.Event()
        stopped: list[int] = []

        def work(_: Execution) -> None:
            go.wait(60)

        workers = Workers(
            seats={STATEMENTS: 2},
            run=work,
            stop_work=lambda execution: stopped.append(execution.job.attempt),
            ended=lambda _: None,
        )
        until = parts.clock.now() + timedelta(hours=1)
        made = {"state": JobState.RUNNING, "owner": "one", "lease_until": until, "deadline": None}
        kept = make_job(attempt=2, **made)
        with parts.database.transaction() as tx:
            add(tx, [first_step(kept)], plan=QUERY, summary=Summary())
        for job in (make_job(attempt=1, **made), kept):
            workers.start(Execution(job, QUERY, clock=parts.clock, timings={}))
        Watch(parts=parts, workers=workers).tick()
        eventually(lambda: stopped)
        assert [each.stop.is_set() for each in workers.active()] == [True, False]
        assert stopped == [1]
        go.set()
        workers.shut()
