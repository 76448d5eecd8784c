"""The first of those that wait."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import pytest

from jobs.execution.lanes import LANES, PIPELINES
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.queues.heads import Line, heads, line_of
from jobs.queues.ledger import Ledger
from jobs.queues.rounds import Rounds
from jobs.queues.store import create
from jobs.store.jobs import Summary, add, first_step
from storage.base.ids import JobId
from storage.meta.database import Database, Tx
from tests.support.jobs import NOW, make_job, make_pipeline_spec, make_queue

SECOND = timedelta(seconds=1)


def _add(tx: Tx, name: str, **changes: object) -> None:
    job = make_job(id=JobId(name), **changes)
    add(tx, [first_step(job)], plan=None, summary=Summary())


def _fill(tx: Tx) -> None:
    """Two users in one queue, one of them in another as well, and another project."""
    for number in range(5):
        at = NOW + number * SECOND
        _add(tx, f"ann_{number}", user_id="ann", created_at=at)
        _add(tx, f"bob_{number}", user_id="bob", created_at=at)
        _add(tx, f"night_{number}", user_id="ann", queue="night", created_at=at)
        _add(tx, f"p2_{number}", user_id="ann", project_id="p2", created_at=at)


def test_some_of_each_line_come_in_their_order(database: Database) -> None:
    with database.transaction() as tx:
        _fill(tx)
        found = [job.id for job in heads(tx, now=NOW, each=2)]
    assert found == [
        "ann_0", "ann_1", "bob_0", "bob_1", "night_0", "night_1", "p2_0", "p2_1",
    ]  # fmt: skip


def test_a_line_may_be_longer_than_what_is_taken(database: Database) -> None:
    with database.transaction() as tx:
        _fill(tx)
        assert len(heads(tx, now=NOW, each=64)) == 20
        assert len(heads(tx, now=NOW, each=64, most=7)) == 7


def test_a_priority_is_a_head_start(database: Database) -> None:
    with database.transaction() as tx:
        _add(tx, "stm_1")
        _add(tx, "stm_2", priority=1, created_at=NOW + timedelta(minutes=9))
        _add(tx, "stm_3", priority=1, created_at=NOW + timedelta(minutes=11))
        found = [job.id for job in heads(tx, now=NOW, each=9)]
    assert found == ["stm_2", "stm_1", "stm_3"]


def test_those_in_a_pause_and_those_that_run_are_left_out(database: Database) -> None:
    with database.transaction() as tx:
        _add(tx, "stm_1", not_before=NOW + SECOND)
        _add(tx, "stm_2", not_before=NOW)
        _add(tx, "stm_3", state=JobState.RUNNING, owner="a", lease_until=NOW)
        assert [job.id for job in heads(tx, now=NOW, each=9)] == ["stm_2"]


def test_the_lines_behind_one_come_first_and_the_others_then(database: Database) -> None:
    with database.transaction() as tx:
        _fill(tx)
        after = Line("default", "default", "bob")
        found = [job.id for job in heads(tx, now=NOW, each=1, after=after)]
    assert found == ["night_0", "p2_0", "ann_0", "bob_0"]


def test_nobody_waits(database: Database) -> None:
    with database.read() as tx:
        assert heads(tx, now=NOW, each=9) == ()


def test_too_many_lines_are_looked_at_by_turns(database: Database) -> None:
    """Each is seen before any is seen for the third time."""
    rounds = Rounds(ledger=Ledger(database=database, replica="a", engine_cu={}))
    seen: dict[str, int] = {}
    with database.transaction() as tx:
        create(tx, make_queue(max_running=1))
        for number in range(600):
            _add(tx, f"stm_{number:03}", user_id=f"usr_{number:03}")
        while len(seen) < 600:
            look = rounds.look(tx, seats={}, now=NOW, most=9)
            assert len(look.start) == 1, "the queue runs one"
            for job in look.seen:
                seen[job.id] = seen.get(job.id, 0) + 1
            rounds.turn(look)
    assert max(seen.values()) <= 2


def _run(tx: Tx, name: str, depth: int = 0, **changes: object) -> None:
    parent = JobId("plr_0") if depth else None
    spec = make_pipeline_spec(depth=depth)
    _add(tx, name, kind=JobKind.PIPELINE, spec=spec, parent_id=parent, **changes)


@pytest.mark.parametrize(
    ("depths", "expected"),
    [
        ((), ["plr_1", "plr_2"]),
        ((0,), ["plr_4", "stm_1"]),
        ((1, 2), ["plr_1", "plr_2"]),
        ((0, 2), ["stm_1", "stm_2"]),
        (range(8), ["stm_1", "stm_2"]),
    ],
)
def test_runs_can_be_passed_over(
    database: Database, depths: Collection[int], expected: list[str]
) -> None:
    with database.transaction() as tx:
        for number in (1, 2, 3):
            _run(tx, f"plr_{number}", created_at=NOW)
        _run(tx, "plr_4", depth=2, created_at=NOW + SECOND)
        for number in (1, 2, 3):
            _add(tx, f"stm_{number}", created_at=NOW + 2 * SECOND)
        found = heads(tx, now=NOW, each=2, but_depths=depths)
    assert [job.id for job in found] == expected
    assert {job.id: job.depth for job in found if job.depth} == (
        {"plr_4": 2} if "plr_4" in expected else {}
    )


def test_runs_without_a_seat_hide_nothing_that_others_wait_for(database: Database) -> None:
    rounds = Rounds(ledger=Ledger(database=database, replica="a", engine_cu={}))
    with database.transaction() as tx:
        create(tx, make_queue())
        for number in range(70):
            _run(tx, f"plr_{number:02}", created_at=NOW)
        _run(tx, "plr_98", depth=1, created_at=NOW + SECOND)
        _run(tx, "plr_99", depth=2, created_at=NOW + SECOND)
        _add(tx, "stm_1", parent_id=JobId("plr_0"), created_at=NOW + 2 * SECOND)
        found = []
        for full in PIPELINES[:2]:
            seats = {lane: int(lane not in (PIPELINES[0], full)) for lane in LANES}
            look = rounds.look(tx, seats=seats, now=NOW, most=9)
            found.append([job.id for job in look.start])
    assert found == [["plr_98", "plr_99", "stm_1"], ["plr_99", "stm_1"]]


def test_runs_without_a_seat_at_one_depth_hide_none_that_is_deeper(database: Database) -> None:
    """Those that have the seats of their depth may wait for just these."""
    rounds = Rounds(ledger=Ledger(database=database, replica="a", engine_cu={}))
    with database.transaction() as tx:
        create(tx, make_queue())
        for number in range(70):
            _run(tx, f"plr_{number:02}", depth=2, created_at=NOW)
        _run(tx, "plr_98", depth=1, created_at=NOW + SECOND)
        _run(tx, "plr_99", depth=3, created_at=NOW + SECOND)
        seats = {lane: int(lane != PIPELINES[2]) for lane in LANES}
        look = rounds.look(tx, seats=seats, now=NOW, most=9)
    assert [job.id for job in look.start] == ["plr_98", "plr_99"]


def test_a_line_is_one_user_in_one_queue(database: Database) -> None:
    with database.transaction() as tx:
        _add(tx, "stm_1", user_id="ann")
        (job,) = heads(tx, now=NOW, each=1)
    assert line_of(job) == Line("default", "default", "ann")
