"""In which cluster a job starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.launchers.api import Capacity
from jobs.lifecycle.spec import EngineName
from jobs.queues.demand import ClusterRoom, Room, Running, Server, Waiting
from jobs.queues.pods import QueuePods
from jobs.queues.policy import CAPACITY, NO_CLUSTER, choose
from storage.base.ids import JobId
from tests.support.jobs import NOW, make_queue
from tests.support.queues import CU, DEFAULT, GIB, as_running, make_batch, make_waiting

NAMES = ("default", "eu", "us")


def make_site(cores: int = 8, *, gib: int = 1000, **changes: Any) -> ClusterRoom:
    return ClusterRoom(
        capacity=Capacity(cpu_millis=cores * 1000, memory_bytes=gib * GIB), **changes
    )


def make_rooms(
    clusters: Mapping[str, ClusterRoom], weights: Mapping[str, int] | None = None, **changes: Any
) -> Room:
    """One queue with these weights, over these clusters."""
    queue = make_queue(max_running=10_000, pods=QueuePods(clusters=weights or {}))
    values: dict[str, Any] = {
        "queues": {DEFAULT: queue},
        "engine_cu": CU,
        "engine_memory": {EngineName.SAIL: GIB, EngineName.SPARK: 2 * GIB},
        "clusters": clusters,
    }
    return Room(**values | changes)


def _batches(count: int, **changes: Any) -> list[Waiting]:
    return [make_batch(f"bat_{number:04}", **changes) for number in range(count)]


def _held(jobs: list[Waiting], where: Mapping[JobId, str]) -> list[Running]:
    return [replace(as_running(job), cluster=where[job.id]) for job in jobs if job.id in where]


def test_what_runs_at_once_is_spread_by_the_weights() -> None:
    room = make_rooms({"default": make_site(100), "eu": make_site(100)}, {"default": 3, "eu": 1})
    found = Counter(choose(_batches(40), room=room, now=NOW).clusters.values())
    assert abs(found["default"] - 30) <= 1
    assert found["default"] + found["eu"] == 40


def test_what_comes_one_by_one_is_spread_by_the_weights_too() -> None:
    """Nothing runs when the next one comes, so that only the draw decides."""
    room = make_rooms({name: make_site() for name in NAMES}, {"default": 5, "eu": 3, "us": 2})
    found = Counter(choose([job], room=room, now=NOW).clusters[job.id] for job in _batches(2000))
    for name, share in {"default": 0.5, "eu": 0.3, "us": 0.2}.items():
        assert abs(found[name] / 2000 - share) < 0.04  # 3.5 standard deviations


def test_without_weights_all_are_equal() -> None:
    room = make_rooms({name: make_site(100) for name in NAMES})
    found = Counter(choose(_batches(30), room=room, now=NOW).clusters.values())
    assert found == dict.fromkeys(NAMES, 10)


def test_a_queue_uses_only_the_clusters_that_it_names() -> None:
    room = make_rooms({name: make_site(100) for name in NAMES}, {"us": 1, "gone": 5})
    assert set(choose(_batches(9), room=room, now=NOW).clusters.values()) == {"us"}


def test_a_full_cluster_leaves_the_rest_to_the_others() -> None:
    room = make_rooms({"default": make_site(2), "eu": make_site(6)}, {"default": 100, "eu": 1})
    found = Counter(choose(_batches(8), room=room, now=NOW).clusters.values())
    assert found == {"default": 2, "eu": 6}


def test_drained_and_silent_clusters_get_nothing_and_are_told() -> None:
    closed = {
        "default": make_site(closed="is drained"),
        "eu": make_site(closed="does not answer"),
    }
    room = make_rooms({**closed, "us": make_site()})
    assert set(choose(_batches(8), room=room, now=NOW).clusters.values()) == {"us"}
    wait = choose(_batches(1), room=make_rooms(closed), now=NOW).waits[JobId("bat_0000")]
    assert wait.reason == NO_CLUSTER
    assert "default is drained, eu does not answer" in str(wait.detail)


def test_a_queue_whose_clusters_are_gone_is_told_so() -> None:
    room = make_rooms({"default": make_site()}, {"mars": 1})
    wait = choose(_batches(1), room=room, now=NOW).waits[JobId("bat_0000")]
    assert (wait.reason, "mars" in str(wait.detail)) == (NO_CLUSTER, True)


@pytest.mark.parametrize(("cores", "words"), [(9, "more than any"), (5, "4 cores in eu")])
def test_one_that_fits_nowhere_is_told_what_there_is(cores: int, words: str) -> None:
    held = replace(as_running(make_batch("bat_old", cores=4)), cluster="eu")
    rooms = {"default": make_site(4), "eu": make_site(8)}
    room = make_rooms(rooms, running=(held,))
    wait = choose([make_batch("bat_1", cores=cores)], room=room, now=NOW).waits[JobId("bat_1")]
    assert wait.reason == CAPACITY
    assert words in str(wait.detail)


def test_the_first_that_waits_keeps_its_place_in_one_cluster_only() -> None:
    """It waits for eu, which is too small for more; the other goes on."""
    ends = NOW + timedelta(minutes=5)
    held = replace(as_running(make_batch("bat_old", cores=4, ends_by=ends)), cluster="eu")
    room = make_rooms({"default": make_site(4), "eu": make_site(8)}, running=(held,))
    late = NOW + timedelta(hours=9)
    waiting = [make_batch("bat_a", cores=8, ends_by=late, at=NOW - timedelta(minutes=1))]
    waiting += [make_batch(f"bat_{n}", cores=2, ends_by=late) for n in range(4)]
    choice = choose(waiting, room=room, now=NOW)
    assert Counter(choice.clusters.values()) == {"default": 2}, "what starts in eu would delay it"


def test_statements_follow_the_engine_that_lives() -> None:
    server = Server(DEFAULT, EngineName.SAIL)
    clusters = {"default": make_site(closed="is drained"), "eu": make_site(gib=1)}
    room = make_rooms(clusters, servers={server: GIB})
    choice = choose([make_waiting("stm_1")], room=room, now=NOW)
    assert (choice.start, choice.clusters) == ((JobId("stm_1"),), {})


def test_a_new_engine_is_placed_where_its_memory_fits() -> None:
    clusters = {"default": make_site(gib=4, engines=4 * GIB), "eu": make_site(gib=4)}
    room = make_rooms(clusters, {"default": 1000, "eu": 1})
    choice = choose([make_waiting("stm_1"), make_waiting("stm_2")], room=room, now=NOW)
    assert choice.start == ("stm_1", "stm_2")
    assert choice.clusters == {"stm_1": "eu"}, "the second one shares the engine of the first"


@st.composite
def fleets(draw: st.DrawFn) -> dict[str, ClusterRoom]:
    return {
        name: make_site(
            draw(st.integers(1, 8)),
            gib=draw(st.integers(1, 16)),
            closed=draw(st.sampled_from(["", "", "is drained", "does not answer"])),
        )
        for name in NAMES
    }


@st.composite
def batches(draw: st.DrawFn) -> list[Waiting]:
    sizes = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 17)), max_size=20))
    ends = st.integers(1, 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
    return [
        make_batch(f"bat_{number:02}", cores=cores, gib=gib, ends_by=draw(ends))
        for number, (cores, gib) in enumerate(sizes)
    ]


weightings = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 1000))


@settings(max_examples=200)
@given(fleets(), batches(), batches(), weightings)
def test_no_cluster_is_ever_filled_beyond_what_it_gives(
    clusters: dict[str, ClusterRoom],
    first: list[Waiting],
    then: list[Waiting],
    weights: dict[str, int],
) -> None:
    room = make_rooms(clusters, weights)
    before = choose(first, room=room, now=NOW)
    then = [replace(job, id=JobId(f"x{job.id}")) for job in then]
    held = _held(first, before.clusters)
    after = choose(then, room=replace(room, running=tuple(held)), now=NOW)
    held += _held(then, after.clusters)
    assert len(held) == len(before.start) + len(after.start)
    for name, each in clusters.items():
        here = [job for job in held if job.cluster == name]
        assert not here or (not each.closed and (not weights or name in weights))
        assert sum(job.cpu_millis for job in here) <= each.capacity.cpu_millis
        assert sum(job.memory_bytes for job in here) <= each.capacity.memory_bytes


@settings(max_examples=200)
@given(fleets(), batches(), weightings)
def test_everything_that_fits_somewhere_starts_in_the_end(
    clusters: dict[str, ClusterRoom], waiting: list[Waiting], weights: dict[str, int]
) -> None:
    """Each end of all that runs lets the next ones in; what is left fits into no open cluster."""
    room, left = make_rooms(clusters, weights), waiting
    for _ in range(len(waiting) + 1):
        started = set(choose(left, room=room, now=NOW).start)
        left = [job for job in left if job.id not in started]
    usable = [
        each.capacity
        for name, each in clusters.items()
        if not each.closed and (not weights or name in weights)
    ]
    for job in left:
        assert all(
            job.cpu_millis > each.cpu_millis or job.memory_bytes > each.memory_bytes
            for each in usable
        )


@given(fleets(), batches(), weightings)
def test_the_order_of_what_is_given_does_not_matter(
    clusters: dict[str, ClusterRoom], waiting: list[Waiting], weights: dict[str, int]
) -> None:
    room = make_rooms(clusters, weights)
    mixed = replace(room, clusters=dict(reversed(clusters.items())))
    there, back = choose(waiting, room=room, now=NOW), choose(waiting[::-1], room=mixed, now=NOW)
    assert (there.start, there.clusters) == (back.start, back.clusters)
