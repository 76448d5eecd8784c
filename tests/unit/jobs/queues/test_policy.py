"""Who starts, and what the others are told."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from jobs.execution import lanes
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.queues.definitions import QueueDef, QueueState
from jobs.queues.demand import Choice, Running, Server
from storage.base.ids import JobId
from tests.support.jobs import NOW, make_queue
from tests.support.queues import (
    DEFAULT,
    GIB,
    as_running,
    chosen,
    make_batch,
    make_room,
    make_waiting,
)

SAIL, SPARK = EngineName.SAIL, EngineName.SPARK
MINUTE = timedelta(minutes=1)


def _reasons(choice: Choice) -> dict[str, str]:
    return {job_id: wait.reason for job_id, wait in choice.waits.items()}


def _statements(count: int) -> list[Running]:
    return [as_running(make_waiting(f"run_{number}")) for number in range(count)]


def test_they_start_in_order_up_to_the_limit() -> None:
    room = make_room(make_queue(max_running=3), running=_statements(1))
    choice = chosen([make_waiting(name) for name in "abc"], room)
    assert choice.start == ("a", "b")
    wait = choice.waits[JobId("c")]
    assert (wait.reason, wait.position) == ("queue_full", 1)


def test_a_user_at_the_limit_holds_up_no_other() -> None:
    room = make_room(make_queue(max_running_per_user=1))
    choice = chosen([make_waiting("a"), make_waiting("b"), make_waiting("c", user="bob")], room)
    assert choice.start == ("a", "c")
    assert _reasons(choice) == {"b": "user_limit"}


def test_nobody_overtakes_one_that_waits_for_an_engine() -> None:
    room = make_room(make_queue(max_cu=2), running=_statements(1))
    choice = chosen([make_waiting("a", engine=SPARK), make_waiting("b")], room)
    assert choice.start == ()
    assert _reasons(choice) == {"a": "cu_limit", "b": "behind_others"}


def test_an_engine_above_the_limit_waits_for_an_empty_queue() -> None:
    queue = make_queue(max_cu=1)
    assert chosen([make_waiting("a", engine=SPARK)], make_room(queue)).start == ("a",)
    busy = chosen(
        [make_waiting("a", engine=SPARK), make_waiting("b")],
        make_room(queue, running=_statements(1)),
    )
    assert _reasons(busy) == {"a": "cu_limit", "b": "behind_others"}


def test_an_engine_in_use_costs_no_more_compute() -> None:
    room = make_room(make_queue(max_cu=1), running=_statements(5))
    assert len(chosen([make_waiting("a"), make_waiting("b")], room).start) == 2


def test_batches_count_by_their_cores_beside_engines() -> None:
    room = make_room(make_queue(max_cu=3), running=_statements(2))
    choice = chosen([make_batch("a", cores=2), make_batch("b", cores=1)], room)
    assert choice.start == ("a",)
    assert _reasons(choice) == {"b": "cu_limit"}


def test_catalog_statements_and_plans_need_no_room() -> None:
    room = make_room(make_queue(max_running=1), running=_statements(1))
    waiting = [
        make_waiting("a"),
        make_waiting("b", engine=None),
        make_waiting("c", engine=None, kind=JobKind.PIPELINE),
    ]
    assert chosen(waiting, room).start == ("b", "c")


def test_a_pause_holds_up_nobody_else() -> None:
    paused = make_waiting("a", not_before=NOW + timedelta(seconds=1))
    choice = chosen([paused, make_waiting("b")])
    assert choice.start == ("b",)
    assert _reasons(choice) == {"a": "retry_pause"}


def test_a_closed_queue_starts_nothing_and_a_drained_one_goes_on() -> None:
    closed = chosen([make_waiting("a")], make_room(make_queue(state=QueueState.CLOSED)))
    assert _reasons(closed) == {"a": "queue_closed"}
    drained = chosen([make_waiting("a")], make_room(make_queue(state=QueueState.DRAINING)))
    assert drained.start == ("a",)


def test_without_seats_of_its_lane_a_job_is_next() -> None:
    room = make_room(seats={lanes.STATEMENTS: 1, lanes.RUNS: 0, lanes.PIPELINES[0]: 0})
    choice = chosen([make_batch("a"), make_waiting("b"), make_waiting("c")], room)
    assert choice.start == ("b",)
    assert _reasons(choice) == {"a": "starting_soon", "c": "starting_soon"}


def test_what_the_machine_has_not_free_is_told() -> None:
    held = as_running(make_batch("x", cores=3))
    choice = chosen([make_batch("a", cores=2)], make_room(running=[held], cores=4))
    assert choice.waits[JobId("a")].reason == "capacity"
    assert choice.waits[JobId("a")].detail == "it needs 2 cores, and 1 cores are free"
    never = chosen([make_batch("a", cores=5)], make_room(cores=4))
    assert "more than the whole machine" in never.waits[JobId("a")].detail


def test_what_runs_elsewhere_holds_nothing_here() -> None:
    elsewhere = Running(
        place=DEFAULT, user_id=make_batch("x").user_id, engine=None, cpu_millis=4000, here=False
    )
    assert chosen([make_batch("a", cores=4)], make_room(running=[elsewhere], cores=4)).start


def test_engines_leave_no_memory_to_batches_and_take_none_of_theirs() -> None:
    spark = {Server(DEFAULT, SPARK): 3 * GIB}
    room = make_room(cores=4, gib=4, servers=spark, engine_memory={SAIL: 2 * GIB})
    choice = chosen([make_batch("a", gib=2), make_waiting("b")], room)
    assert choice.start == ("b",), "engines share what batches leave"
    assert _reasons(choice) == {"a": "capacity"}
    batch = as_running(make_batch("x", gib=3))
    held = make_room(cores=4, gib=4, running=[batch], engine_memory={SAIL: 2 * GIB})
    assert _reasons(chosen([make_waiting("b")], held)) == {"b": "capacity"}


def test_a_small_job_fills_a_gap_that_it_leaves_in_time() -> None:
    held = as_running(make_batch("x", cores=3, ends_by=NOW + 10 * MINUTE))
    room = make_room(running=[held], cores=4)
    first = make_batch("a", cores=4, ends_by=NOW + 60 * MINUTE)
    short = make_batch("b", ends_by=NOW + 10 * MINUTE, at=NOW + MINUTE)
    long = make_batch("b", ends_by=NOW + 11 * MINUTE, at=NOW + MINUTE)
    assert chosen([first, short], room).start == ("b",)
    assert _reasons(chosen([first, long], room)) == {"a": "capacity", "b": "behind_others"}


def test_a_gap_that_the_first_one_leaves_over_may_be_filled_for_long() -> None:
    held = as_running(make_batch("x", cores=3, ends_by=NOW + 10 * MINUTE))
    room = make_room(running=[held], cores=4)
    first = make_batch("a", cores=3, ends_by=NOW + 60 * MINUTE)
    rest = [make_batch(name, at=NOW + MINUTE) for name in "bc"]
    assert chosen([first, *rest], room).start == ("b",)


def test_another_queue_does_not_take_what_the_first_one_waits_for() -> None:
    night = make_queue(name="night")
    held = as_running(make_batch("x", queue="night", cores=3, ends_by=NOW + 10 * MINUTE))
    room = make_room(make_queue(), night, running=[held], cores=4)
    first = make_batch("a", cores=4, ends_by=NOW + 60 * MINUTE)
    choice = chosen([first, make_batch("b", queue="night")], room)
    assert _reasons(choice) == {"a": "capacity", "b": "share"}


def test_what_can_never_start_holds_up_nobody() -> None:
    choice = chosen([make_batch("a", cores=5), make_batch("b")], make_room(cores=4))
    assert choice.start == ("b",)


@pytest.mark.parametrize(
    ("priority", "ahead", "first"), [(0, 5, "old"), (1, 5, "new"), (1, 15, "old"), (2, 15, "new")]
)
def test_a_step_of_priority_is_worth_ten_minutes(priority: int, ahead: int, first: str) -> None:
    room = make_room(make_queue(max_running=1))
    old = make_waiting("old")
    new = make_waiting("new", at=NOW + ahead * MINUTE, priority=priority)
    assert chosen([old, new], room, now=NOW + 20 * MINUTE).start == (first,)


def test_a_class_is_shared_among_users() -> None:
    room = make_room(make_queue(max_running=3))
    waiting = [make_waiting(f"a{number}", user="ann") for number in range(3)]
    waiting.append(make_waiting("b", user="bob", at=NOW + timedelta(seconds=9)))
    assert chosen(waiting, room, now=NOW + timedelta(seconds=10)).start == ("a0", "b", "a1")


def test_users_of_a_queue_share_by_weight() -> None:
    room = make_room(make_queue(max_running=8, user_weights={"ann": 3}))
    waiting = [make_waiting(f"{user}{number}", user=user) for user in ("ann", "bob")
               for number in range(9)]  # fmt: skip
    start = chosen(waiting, room).start
    assert sorted(job_id[:3] for job_id in start) == ["ann"] * 6 + ["bob"] * 2


def test_a_weight_does_not_pass_a_higher_class() -> None:
    room = make_room(make_queue(max_running=1, user_weights={"ann": 1000}))
    waiting = [make_waiting("a", user="ann"), make_waiting("b", user="bob", priority=1)]
    assert chosen(waiting, room).start == ("b",)


def test_projects_share_by_weight_whoever_asks_for_more() -> None:
    queues = [_of("one", weight=2), _of("two", weight=1)]
    waiting = [make_batch(f"{name}{number}", project=name) for name in ("one", "two")
               for number in range(9)]  # fmt: skip
    start = chosen(waiting, make_room(*queues, cores=6)).start
    assert sorted(job_id[:3] for job_id in start) == ["one"] * 4 + ["two"] * 2


def test_the_dominant_resource_counts() -> None:
    queues = [_of("cpu"), _of("mem")]
    waiting = [make_batch(f"cpu{number}", project="cpu", cores=2, gib=1) for number in range(9)]
    waiting += [make_batch(f"mem{number}", project="mem", cores=1, gib=4) for number in range(9)]
    start = chosen(waiting, make_room(*queues, cores=9, gib=18)).start
    assert sorted(job_id[:3] for job_id in start) == ["cpu"] * 3 + ["mem"] * 3


def test_the_order_of_the_rows_does_not_matter() -> None:
    waiting = [
        make_batch("a", cores=3),
        make_batch("b", project="two", cores=2),
        make_batch("c", user="bob", priority=1),
        make_batch("d", cores=1, at=NOW + MINUTE),
    ]
    room = make_room(make_queue(), _of("two"), cores=5)
    choices = {chosen(order, room).start for order in permutations(waiting)}
    assert len(choices) == 1


def _of(project: str, **changes: object) -> QueueDef:
    return make_queue(project_id=project, **changes)


def test_memory_is_wanted_only_where_it_alone_is_lacking() -> None:
    spark = {Server(DEFAULT, SPARK): 3 * GIB}
    room = make_room(cores=2, gib=4, servers=spark)
    assert chosen([make_batch("a", gib=2)], room).wants_memory
    assert not chosen([make_batch("a", gib=1)], room).wants_memory
    assert not chosen([make_batch("a", gib=5)], room).wants_memory, "it never fits"
    assert not chosen([make_batch("a", cores=3, gib=2)], room).wants_memory
