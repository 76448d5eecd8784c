"""Canaries of a queue over real engines: what runs where, what is compared, and how each ends."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.canaries.canaries import figures_of
from jobs.canaries.shadows import TIMED_OUT, ShadowSettings
from jobs.canaries.spec import (
    Canary,
    CanaryInvalidError,
    CanaryMissingError,
    CanaryState,
    EndedFor,
)
from jobs.canaries.trials import Report, Trial
from jobs.lifecycle.states import JobState
from jobs.queues.canaries import CanaryChange, CanaryPlan
from jobs.queues.pods import QueuePods
from jobs.service import JobView
from storage.base.ids import UserId
from tests.support.canaries import BROKEN, NEW, TOKYO, ImagedSail
from tests.support.jobs import PROJECT
from tests.support.replicas import OWN_IMAGE, Replica, start_replica
from tests.support.runs import hold

pytestmark = pytest.mark.xdist_group("canaries")
ANN = UserId("usr_ann")
QUEUE = "default"
#: What a session's time zone is, told by the engine.
DAY = "SELECT CAST(TIMESTAMP '2026-01-01 20:00:00Z' AS DATE) AS day"
SOME = """SELECT count(*) AS n FROM range(15000) a CROSS JOIN range(15000) b
WHERE (a.id * 31 + b.id * 17) % 1000003 = 5"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Replica]:
    root = tmp_path_factory.mktemp("canaries")
    shutil.copyfile(sqlite_template, root / "meta.db")
    shadow = ShadowSettings(
        timeout=timedelta(seconds=3), grace=timedelta(milliseconds=300), waiting=2
    )
    with start_replica(
        root, f"sqlite:///{root}/meta.db", engines=[ImagedSail()], images=True, shadow=shadow
    ) as made:
        register(made)
        yield made


@pytest.fixture
def replica(shared: Replica) -> Iterator[Replica]:
    """With no canary before and after, and the queue's image as ever."""
    yield shared
    with suppress(CanaryMissingError):
        shared.service.canaries.roll_back(PROJECT, QUEUE, by=ANN)
    queue = shared.service.queues.get(PROJECT, QUEUE)
    shared.service.queues.update(replace(queue, pods=QueuePods()))
    shared.parts.canaries.forget()


def start(replica: Replica, image: str = NEW, **shares: Any) -> Canary:
    values: dict[str, Any] = {"percent": 0, "shadow": 0, "max_errors": None}
    plan = CanaryPlan(image=image, **values | shares)
    return replica.service.canaries.start(PROJECT, QUEUE, plan, by=ANN)


def report(replica: Replica) -> Report:
    return replica.service.canaries.show(PROJECT, QUEUE)[1]


def counts(replica: Replica) -> dict[str, Any]:
    """What is not zero, as it is told."""
    told = figures_of(report(replica))
    found: dict[str, Any] = {}
    for kind in ("split", "shadow"):
        of_kind = told[kind]
        assert isinstance(of_kind, dict)
        found |= {name: count for name, count in of_kind.items() if count}
    return found


def eventually(holds: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "never came about"
        threading.Event().wait(0.02)


def only_trial(replica: Replica) -> Trial:
    (trial,) = report(replica).worst
    return trial


def images(replica: Replica) -> set[str | None]:
    """Of engines that live."""
    return {view.image for view in replica.parts.pool.views()}


def process(replica: Replica, image: str) -> psutil.Process:
    (view,) = (each for each in replica.parts.pool.views() if each.image == image)
    pid = replica.parts.launcher.status(view.run_id).pid
    assert pid is not None
    return psutil.Process(pid)


def register(replica: Replica) -> None:
    folder = replica.files / "numbers"
    folder.mkdir()
    pq.write_table(pa.table({"n": list(range(1000)), "x": [i / 7 for i in range(1000)]}),
                   folder / "one.parquet")  # fmt: skip
    view = replica.run(f"CREATE TABLE numbers USING parquet LOCATION '{folder}'")
    assert view.job.state is JobState.FINISHED, view.job.failure


def stopped(replica: Replica, image: str) -> psutil.Process:
    """The engine of that image, which does nothing from now on."""
    found = process(replica, image)
    return hold(found.pid)


def where(view: JobView) -> tuple[str | None, bool, int]:
    """Its image, whether that is the canary's, and which attempt it was."""
    assert view.job.state is JobState.FINISHED, view.job.failure
    return view.job.image, view.job.canary_id is not None, view.job.attempt


def test_a_share_of_statements_runs_on_the_canary(replica: Replica) -> None:
    assert where(replica.run("SELECT 1")) == (OWN_IMAGE, False, 1)
    canary = start(replica, percent=100)
    view = replica.run("SELECT 2")
    assert where(view) == (NEW, True, 1)
    assert view.job.canary_id == canary.id
    details = [event.detail for event in view.history if event.kind == "started"]
    assert (details[0]["image"], details[0]["canary"]) == (NEW, canary.id)
    assert counts(replica) == {"finished": 1}
    replica.service.canaries.change(PROJECT, QUEUE, CanaryChange(percent=0))
    assert where(replica.run("SELECT 3")) == (OWN_IMAGE, False, 1)


def test_what_fails_on_a_canary_is_tried_again_on_the_queues_own(replica: Replica) -> None:
    start(replica, image=BROKEN, percent=100)
    view = replica.run("SELECT 1")
    assert where(view) == (OWN_IMAGE, False, 2)
    assert counts(replica) == {"rescued": 1}
    assert only_trial(replica).code == "engine_start_failed"


def test_a_statement_that_is_wrong_speaks_against_no_canary(replica: Replica) -> None:
    start(replica, percent=100)
    view = replica.run("SELECT 1 / 0")
    assert (view.job.state, view.job.attempt) == (JobState.FAILED, 2)
    assert view.job.failure is not None
    assert view.job.failure.code == "division_by_zero"
    assert counts(replica) == {"failed": 1}
    assert report(replica).errors == 0


def test_a_query_is_repeated_and_compared(replica: Replica) -> None:
    start(replica, shadow=100)
    view = replica.run("SELECT n % 10 AS k, sum(x) AS s FROM numbers GROUP BY n % 10")
    assert where(view) == (OWN_IMAGE, False, 1)
    eventually(lambda: report(replica).total)
    found = counts(replica)
    assert found in ({"equal": 1}, {"floats": 1})
    ratios = report(replica).ratios
    assert ratios.compared == 1
    assert ratios.time_p50 is not None
    assert ratios.cost is not None


def test_nobody_is_billed_for_what_is_repeated(replica: Replica) -> None:
    before = replica.run("SELECT sum(n) FROM numbers")
    start(replica, shadow=100)
    after = replica.run("SELECT sum(n) FROM numbers")
    eventually(lambda: report(replica).total)
    assert replica.view(after.job.id).usage["scan.bytes"] == before.usage["scan.bytes"]
    assert replica.view(after.job.id).usage == after.usage
    assert replica.bill(after.job.id) is not None


def test_another_answer_of_the_canary_is_found(replica: Replica) -> None:
    start(replica, image=TOKYO, shadow=100)
    view = replica.run(DAY)
    assert [str(row["day"]) for row in replica.rows(view)] == ["2026-01-01"]
    eventually(lambda: report(replica).total)
    trial = only_trial(replica)
    assert (trial.outcome, trial.job_id) == ("different", view.job.id)
    assert trial.stable_digest != trial.canary_digest
    assert counts(replica) == {"different": 1}


def test_what_tells_nothing_is_not_repeated(replica: Replica) -> None:
    start(replica, shadow=100)
    for sql in (
        "SELECT rand() AS r",
        "SELECT id FROM range(1000) LIMIT 5",
        "SHOW DATABASES",
        "CREATE OR REPLACE TABLE made AS SELECT 1 AS a",
        "EXPLAIN SELECT 1",
    ):
        assert replica.run(sql).job.state is JobState.FINISHED
    cut = replica.run("SELECT id FROM range(100)", max_rows=10)
    assert cut.manifest is not None
    assert cut.manifest.truncated
    replica.run("SELECT 1")
    eventually(lambda: report(replica).total)
    assert counts(replica) == {"equal": 1}


def test_a_canary_that_does_not_start_costs_nobody_anything(replica: Replica) -> None:
    start(replica, image=BROKEN, shadow=100)
    assert where(replica.run("SELECT 1")) == (OWN_IMAGE, False, 1)
    eventually(lambda: report(replica).total)
    trial = only_trial(replica)
    assert (trial.outcome, trial.code) == ("error", "engine_start_failed")
    replica.run("SELECT 2")
    eventually(lambda: report(replica).dropped == 1)
    assert report(replica).total == 1, "it is left alone for a while"


def test_a_canary_that_hangs_is_killed_and_hangs_nobody(replica: Replica) -> None:
    start(replica, shadow=100)
    replica.run("SELECT 1")
    eventually(lambda: report(replica).total)
    hung = stopped(replica, NEW)
    assert where(replica.run("SELECT 2")) == (OWN_IMAGE, False, 1)
    assert report(replica).total == 1, "it does not wait for the canary"
    eventually(lambda: report(replica).total == 2)
    assert only_trial(replica).code == TIMED_OUT
    eventually(lambda: not hung.is_running())


def test_what_comes_while_others_wait_is_dropped_and_counted(replica: Replica) -> None:
    """One runs and two wait, however many come."""
    start(replica, shadow=100)
    replica.run("SELECT 0")
    eventually(lambda: report(replica).total)
    hung = stopped(replica, NEW)
    for number in range(1, 7):
        replica.run(f"SELECT {number}")
    hung.send_signal(signal.SIGCONT)
    eventually(lambda: report(replica).total + report(replica).dropped == 7)
    assert counts(replica) in ({"equal": 4, "dropped": 3}, {"equal": 3, "dropped": 4})


def test_the_image_that_a_queue_has_is_no_canary(replica: Replica) -> None:
    with pytest.raises(CanaryInvalidError):
        start(replica, image=OWN_IMAGE)


def test_an_image_that_the_queue_had_a_moment_ago_may_be_tried(replica: Replica) -> None:
    queue = replica.service.queues.get(PROJECT, QUEUE)
    replica.service.queues.update(replace(queue, pods=QueuePods(image=NEW)))
    assert where(replica.run("SELECT 1")) == (NEW, False, 1)
    queue = replica.service.queues.get(PROJECT, QUEUE)
    replica.service.queues.update(replace(queue, pods=QueuePods()))
    assert start(replica, image=NEW).image == NEW


def test_a_rollback_kills_nothing_that_runs(replica: Replica) -> None:
    start(replica, percent=100)
    running = replica.submit(SOME)
    replica.await_state(running, JobState.RUNNING)
    ended = replica.service.canaries.roll_back(PROJECT, QUEUE, by=ANN)
    assert (ended.state, ended.ended_by, ended.ended_for) == (
        CanaryState.ROLLED_BACK, ANN, EndedFor.ASKED,
    )  # fmt: skip
    assert where(replica.run("SELECT 1")) == (OWN_IMAGE, False, 1)
    assert where(replica.await_end(running)) == (NEW, True, 1)
    eventually(lambda: images(replica) == {OWN_IMAGE})
    with pytest.raises(CanaryMissingError):
        report(replica)


def test_a_promotion_takes_the_canarys_engine_over(replica: Replica) -> None:
    start(replica, percent=100)
    before = replica.run("SELECT 1")
    version = replica.service.queues.get(PROJECT, QUEUE).version
    replica.service.canaries.promote(PROJECT, QUEUE, by=ANN)
    queue = replica.service.queues.get(PROJECT, QUEUE)
    assert (queue.pods.image, queue.version) == (NEW, version + 1)
    after = replica.run("SELECT 2")
    assert where(after) == (NEW, False, 1)
    assert after.job.run_id == before.job.run_id, "it was warm"
    eventually(lambda: images(replica) == {NEW})
    told = replica.service.canaries.history(PROJECT, QUEUE)[0]
    assert (told.state, told.replaces) == (CanaryState.PROMOTED, None)
    assert told.figures is not None
    assert told.figures["split"]["finished"] == 1


def test_a_canary_that_makes_too_many_errors_is_rolled_back(replica: Replica) -> None:
    start(replica, image=BROKEN, percent=100, max_errors=20)
    jobs = [replica.submit(f"SELECT {number}") for number in range(5)]
    for job_id in jobs:
        assert where(replica.await_end(job_id)) == (OWN_IMAGE, False, 2)
    eventually(lambda: replica.service.canaries.history(PROJECT, QUEUE)[0].ended_at)
    told = replica.service.canaries.history(PROJECT, QUEUE)[0]
    assert (told.state, told.ended_for, told.ended_by) == (
        CanaryState.ROLLED_BACK, EndedFor.ERRORS, None,
    )  # fmt: skip
    assert where(replica.run("SELECT 9")) == (OWN_IMAGE, False, 1)


def test_a_service_that_ends_waits_for_no_repeat(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "meta.db")
    url = f"sqlite:///{tmp_path}/meta.db"
    shadow = ShadowSettings(grace=timedelta(milliseconds=300))
    with start_replica(
        tmp_path, url, engines=[ImagedSail()], images=True, shadow=shadow
    ) as replica:
        start(replica, shadow=100)
        replica.run("SELECT 1")
        eventually(lambda: report(replica).total)
        hung = stopped(replica, NEW)
        replica.run("SELECT 2")
        eventually(lambda: any(each.users for each in replica.parts.pool.views()))
        began = time.monotonic()
    assert time.monotonic() - began < 45, "it would have had a minute"
    assert not hung.is_running()
