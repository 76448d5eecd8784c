"""Who starts, and what the others are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobs.lifecycle.spec import EngineName
from jobs.queues.definitions import QueueDef
from jobs.queues.policy import Choice, Load, Waiting, choose
from storage.base.ids import JobId
from tests.support.jobs import NOW, make_queue

SAIL, SPARK = EngineName.SAIL, EngineName.SPARK
CU = {SAIL: 1, SPARK: 2}


def _waiting(*engines: EngineName | None) -> tuple[Waiting, ...]:
    return tuple(
        Waiting(id=JobId(f"stm_{index}"), engine=engine) for index, engine in enumerate(engines)
    )


def _choose(waiting: Sequence[Waiting], load: Load, **limits: object) -> Choice:
    return choose(waiting, load=load, queue=make_queue(**limits), engine_cu=CU, now=NOW)


def test_they_start_in_order_up_to_the_limit() -> None:
    choice = _choose(_waiting(SAIL, SAIL, SAIL), Load(running={SAIL: 1}), max_running=3)
    assert choice.start == ("stm_0", "stm_1")
    wait = choice.waits[JobId("stm_2")]
    assert (wait.reason, wait.position) == ("queue_full", 1)


def test_positions_count_those_who_wait() -> None:
    choice = _choose(_waiting(SAIL, SAIL, SAIL), Load(running={SAIL: 1}), max_running=1)
    told = [(wait.reason, wait.position) for wait in choice.waits.values()]
    assert told == [("queue_full", 1), ("behind_others", 2), ("behind_others", 3)]


def test_nobody_overtakes_one_that_waits_for_compute() -> None:
    choice = _choose(_waiting(SPARK, SAIL), Load(running={SAIL: 1}), max_cu=2)
    assert choice.start == ()
    reasons = [wait.reason for wait in choice.waits.values()]
    assert reasons == ["cu_limit", "behind_others"]


def test_an_engine_in_use_costs_no_more_compute() -> None:
    choice = _choose(_waiting(SAIL, SAIL), Load(running={SAIL: 5}), max_cu=1)
    assert len(choice.start) == 2


def test_an_empty_queue_always_starts_one_engine() -> None:
    assert _choose(_waiting(SPARK), Load(), max_cu=1).start == ("stm_0",)


def test_catalog_statements_need_no_room() -> None:
    choice = _choose(_waiting(SAIL, None), Load(running={SAIL: 1}), max_running=1)
    assert choice.start == ("stm_1",)


def test_a_pause_holds_up_nobody_else() -> None:
    paused = Waiting(id=JobId("stm_9"), engine=SAIL, not_before=NOW + timedelta(seconds=1))
    choice = _choose((paused, *_waiting(SAIL)), Load())
    assert choice.start == ("stm_0",)
    assert choice.waits[JobId("stm_9")].reason == "retry_pause"


@given(
    st.lists(st.sampled_from([SAIL, SPARK, None]), max_size=12),
    st.dictionaries(st.sampled_from([SAIL, SPARK]), st.integers(0, 5)),
    st.integers(1, 6),
    st.one_of(st.none(), st.integers(1, 4)),
)
def test_limits_hold_and_each_is_started_or_told(
    engines: list[EngineName | None],
    running: dict[EngineName | None, int],
    max_running: int,
    max_cu: int | None,
) -> None:
    waiting = _waiting(*engines)
    queue: QueueDef = make_queue(max_running=max_running, max_cu=max_cu)
    before = Load(running=running)
    choice = choose(waiting, load=before, queue=queue, engine_cu=CU, now=NOW)
    assert {*choice.start, *choice.waits} == {job.id for job in waiting}
    assert not set(choice.start) & set(choice.waits)
    started = [job for job in waiting if job.id in choice.start and job.engine is not None]
    assert before.computing + len(started) <= max(max_running, before.computing)
    computing = [job.id for job in waiting if job.engine is not None]
    assert computing[: len(started)] == [job.id for job in started], "in the order of the submits"
    used = {job.engine for job in started} | {name for name, count in running.items() if count}
    held = {name for name, count in running.items() if count}
    if max_cu is not None and used != held and len(used) > 1:
        assert sum(CU[name] for name in used if name is not None) <= max_cu
