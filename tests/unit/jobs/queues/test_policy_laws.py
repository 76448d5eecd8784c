"""What holds for every choice, whoever waits and whatever runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.lifecycle.job import TURN_STEP
from jobs.lifecycle.spec import EngineName
from jobs.queues.demand import Place, Room, Running, Waiting
from jobs.queues.policy import choose, fits
from storage.base.ids import JobId, ProjectId, UserId
from tests.support.jobs import NOW, make_queue
from tests.support.queues import CU, GIB, as_running, make_batch, make_room, make_waiting

CORES, MEMORY = 6, 12
MINUTE = timedelta(minutes=1)

places = st.sampled_from([("one", "default"), ("one", "night"), ("two", "default")])
minutes = st.integers(1, 60)


@st.composite
def jobs(draw: st.DrawFn, name: str = "job") -> Waiting:
    """A statement, or a batch that the machine and every queue could run alone."""
    project, queue = draw(places)
    ends_by = NOW + draw(minutes) * MINUTE
    common = {
        "project": project,
        "queue": queue,
        "user": draw(st.sampled_from(["ann", "bob"])),
        "priority": draw(st.integers(-3, 3)),
        "at": NOW - draw(st.integers(0, 50)) * MINUTE,
        "ends_by": ends_by,
    }
    if draw(st.booleans()):
        engine = draw(st.sampled_from([EngineName.SAIL, EngineName.SPARK, None]))
        return make_waiting(name, engine=engine, **common)
    cores, gib = draw(st.integers(1, 4)), draw(st.integers(0, MEMORY))
    return make_batch(name, cores=cores, gib=gib, **common)


@st.composite
def many(draw: st.DrawFn, most: int = 14) -> list[Waiting]:
    """Jobs with names of their own."""
    count = draw(st.integers(0, most))
    return [replace(draw(jobs()), id=JobId(f"job_{number:02}")) for number in range(count)]


@st.composite
def rooms(draw: st.DrawFn) -> Room:
    """Three queues of two projects on one machine where nothing runs."""
    defs = [
        make_queue(
            project_id=project,
            name=queue,
            max_running=draw(st.integers(1, 5)),
            max_cu=draw(st.none() | st.integers(4, 8)),
            max_running_per_user=draw(st.none() | st.integers(1, 3)),
            weight=draw(st.integers(1, 3)),
            user_weights=draw(st.dictionaries(st.sampled_from(["ann", "bob"]), st.integers(1, 9))),
        )
        for project, queue in [("one", "default"), ("one", "night"), ("two", "default")]
    ]
    return make_room(*defs, cores=CORES, gib=MEMORY)


def _with(room: Room, running: Sequence[Running]) -> Room:
    return replace(room, running=tuple(running))


def _start(waiting: Sequence[Waiting], room: Room, now: datetime = NOW) -> list[Waiting]:
    by_id = {job.id: job for job in waiting}
    return [by_id[job_id] for job_id in choose(waiting, room=room, now=now).start]


@given(many(), rooms())
def test_each_starts_or_is_told_why_not(waiting: list[Waiting], room: Room) -> None:
    choice = choose(waiting, room=room, now=NOW)
    assert {*choice.start, *choice.waits} == {job.id for job in waiting}
    assert not set(choice.start) & set(choice.waits)


@given(many(), many(), rooms())
def test_no_limit_is_ever_passed(first: list[Waiting], then: list[Waiting], room: Room) -> None:
    running = _start(first, room)
    later = [replace(job, id=JobId(f"x{job.id}")) for job in then]
    running += _start(later, _with(room, [as_running(job) for job in running]))
    assert sum(job.cpu_millis for job in running) <= CORES * 1000
    assert sum(job.memory_bytes for job in running) <= MEMORY * GIB
    for place, queue in room.queues.items():
        here = [job for job in running if job.place == place and job.computes]
        assert len(here) <= queue.max_running
        engines = {job.engine for job in here if job.engine is not None}
        used = sum(CU[engine] * 1000 for engine in engines) + sum(job.cpu_millis for job in here)
        assert queue.max_cu is None or used <= queue.max_cu * 1000
        for user in {job.user_id for job in here}:
            most = queue.max_running_per_user
            assert most is None or sum(job.user_id == user for job in here) <= most


@given(many(), rooms(), st.randoms(use_true_random=False))
def test_everybody_starts_if_jobs_end(waiting: list[Waiting], room: Room, random: object) -> None:
    """Also where those that run end in the worst order, one by one, at their hard ends."""
    left, now = list(waiting), NOW
    running: list[Waiting] = []
    for _ in range(2 * len(waiting) + 1):
        started = _start(left, _with(room, [as_running(job) for job in running]), now)
        assert started or running or not left, "nothing runs, and nothing starts"
        running += [replace(job, ends_by=now + 60 * MINUTE) for job in started]
        known = {job.id for job in started}
        left = [job for job in left if job.id not in known]
        if running:
            running.remove(random.choice(running))  # type: ignore[attr-defined]
        now += MINUTE
    assert not left


@settings(max_examples=300)
@given(many(), jobs(), rooms())
def test_one_alone_is_judged_by_the_same_rules(
    before: list[Waiting], job: Waiting, room: Room
) -> None:
    running = [as_running(each) for each in _start(before, room)]
    job = replace(job, cpu_millis=0, memory_bytes=0, engine=job.engine or EngineName.SPARK)
    chosen = choose((job,), room=_with(room, running), now=NOW).start
    here = [each for each in running if each.place == job.place]
    assert bool(chosen) == fits(job, room.queues[job.place], here, engine_cu=CU)


@given(many(), rooms())
def test_the_order_of_what_is_given_does_not_matter(waiting: list[Waiting], room: Room) -> None:
    assert choose(waiting, room=room, now=NOW) == choose(waiting[::-1], room=room, now=NOW)


@settings(max_examples=300)
@given(many(), rooms(), st.integers(1, 20))
def test_a_higher_priority_never_starts_later(
    waiting: list[Waiting], room: Room, steps: int
) -> None:
    before = choose(waiting, room=room, now=NOW)
    for index, job in enumerate(waiting):
        if job.id in before.start:
            raised = replace(job, turn=job.turn - steps * TURN_STEP)
            after = choose([*waiting[:index], raised, *waiting[index + 1 :]], room=room, now=NOW)
            assert job.id in after.start


@given(st.integers(1, 4), st.integers(0, 3), st.integers(1, 24))
def test_equal_projects_never_differ_by_more_than_a_job(
    cores: int, held: int, machine: int
) -> None:
    running = [
        as_running(make_batch(f"run{number}", project="one", cores=cores))
        for number in range(min(held, machine // cores))
    ]
    queues = [make_queue(project_id=project, max_running=99) for project in ("one", "two")]
    waiting = [
        make_batch(f"{project}{number:02}", project=project, cores=cores)
        for project in ("one", "two")
        for number in range(30)
    ]
    started = _start(waiting, make_room(*queues, running=running, cores=machine))
    mine = len(running) + sum(job.place.project_id == "one" for job in started)
    other = sum(job.place.project_id == "two" for job in started)
    assert mine - other <= max(1, len(running))
    assert other - mine <= 1
    assert (mine + other + 1) * cores > machine, "nothing is left unused"


def _first_starts(
    waiting: Sequence[Waiting], running: Sequence[Waiting], room: Room, first: Waiting
) -> datetime:
    """When ``first`` starts, where everything runs until its hard end."""
    left, now, active = list(waiting), NOW, list(running)
    while True:
        active = [job for job in active if job.ends_by is not None and job.ends_by > now]
        left = [job for job in left if job.ends_by is not None and job.ends_by > now]
        for job in _start(left, _with(room, [as_running(each) for each in active]), now):
            if job.id == first.id:
                return now
            active.append(job)
            left.remove(job)
        now = min(job.ends_by for job in active if job.ends_by is not None)


@settings(max_examples=300)
@given(many(6), many(10), rooms())
def test_filling_gaps_never_delays_the_first_one(
    before: list[Waiting], later: list[Waiting], room: Room
) -> None:
    """In one queue of one user, where the order is that of the submits."""
    place, user_id = Place(ProjectId("one"), "default"), UserId("ann")
    same = [
        replace(
            job,
            id=JobId(f"job_{number:02}"),
            place=place,
            user_id=user_id,
            turn=NOW + number * timedelta(seconds=1),
        )
        for number, job in enumerate((*before, *later))
        if job.sized
    ]
    running = _start(same[: len(before)], room)
    queue = [job for job in same if job not in running]
    if not queue:
        return
    queue[0] = replace(queue[0], ends_by=NOW + timedelta(hours=9))
    alone = _first_starts(queue[:1], running, room, queue[0])
    assert _first_starts(queue, running, room, queue[0]) <= alone
