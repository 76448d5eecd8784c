"""Sizes of programs: classes, bounds, heaps, and what follows an out-of-memory end."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.batches.growth import attempt_size, grown, memory_ends, sizes_so_far
from jobs.batches.sizes import (
    GIB,
    LEAST_MEMORY,
    MIB,
    SIZES,
    checked_size,
    class_size,
    heap_bytes,
    next_size,
    pods_cu_millis,
    shares_of,
    size_name,
    whole_size,
)
from jobs.errors import RequestInvalidError
from jobs.launchers.api import Capacity
from jobs.lifecycle.spec import BatchLanguage, Size
from jobs.lifecycle.states import JobState
from jobs.views import JobEvent
from tests.support.jobs import NOW, make_batch_spec, make_job

_SPARK_LEAST_HEAP = 450 << 20


def event(kind: str, **detail: object) -> JobEvent:
    return JobEvent(version=1, state=JobState.QUEUED, kind=kind, at=NOW, detail=detail)


CLAIMED = event("claimed", attempt=1)
OUT_OF_MEMORY = event("failed", fault="out_of_memory")
LOST = event("failed", fault="platform")


def test_each_class_is_twice_the_one_before() -> None:
    sizes = list(SIZES.values())
    for one, two in itertools.pairwise(sizes):
        assert (two.cores, two.memory_bytes) == (one.cores * 2, one.memory_bytes * 2)
    assert [size_name(size) for size in sizes] == list(SIZES)


def test_a_class_that_is_none_gets_a_near_one() -> None:
    with pytest.raises(RequestInvalidError) as caught:
        class_size("Medum")
    assert caught.value.hint == "did you mean medium?"


@pytest.mark.parametrize("language", BatchLanguage)
@pytest.mark.parametrize("memory", [LEAST_MEMORY, *(size.memory_bytes for size in SIZES.values())])
def test_every_size_has_a_heap_that_spark_starts_with(language: BatchLanguage, memory: int) -> None:
    heap = heap_bytes(Size(cores=1, memory_bytes=memory), language)
    assert _SPARK_LEAST_HEAP < heap < memory - (512 << 20)


@pytest.mark.parametrize(
    "size",
    [
        Size(cores=0, memory_bytes=4 * GIB),
        Size(cores=1, memory_bytes=LEAST_MEMORY - 1),
        Size(cores=1, memory_bytes=2048 * GIB),
        Size(cores=257, memory_bytes=4 * GIB),
    ],
)
def test_sizes_out_of_bounds_are_refused(size: Size) -> None:
    with pytest.raises(RequestInvalidError):
        checked_size(size, "driver")


@given(st.integers(1, 64), st.integers(LEAST_MEMORY, 1024 * GIB))
def test_the_next_size_has_more_memory_and_the_same_cores(cores: int, memory: int) -> None:
    larger = next_size(Size(cores=cores, memory_bytes=memory))
    assert larger.memory_bytes > memory
    assert larger.cores == cores
    assert larger.memory_bytes <= max(memory * 2, 4 * GIB)


def test_driver_and_executors_are_one_sum() -> None:
    spec = make_batch_spec(
        driver=Size(cores=1, memory_bytes=2 * GIB),
        executor=Size(cores=2, memory_bytes=3 * GIB),
        executors=2,
    )
    assert whole_size(spec) == Size(cores=5, memory_bytes=8 * GIB)


def test_only_out_of_memory_ends_make_larger() -> None:
    spec = make_batch_spec(driver=SIZES["small"])
    steps = [CLAIMED, LOST, CLAIMED, OUT_OF_MEMORY, CLAIMED]
    assert memory_ends(steps) == 1
    assert [size_name(size) for size in sizes_so_far(spec, steps)] == [
        "small",
        "small",
        "1 core, 8 GiB",
    ]
    assert attempt_size(spec, 3).memory_bytes == 32 * GIB


def test_nothing_grows_beyond_the_machine() -> None:
    machine = Capacity(cpu_millis=2000, memory_bytes=8 * GIB)
    assert grown(SIZES["small"], machine) == Size(cores=1, memory_bytes=8 * GIB)
    assert grown(SIZES["medium"], machine) is None


def test_a_spec_without_a_history_has_its_own_size() -> None:
    spec = make_batch_spec(driver=SIZES["large"], timeout=timedelta(minutes=1))
    assert sizes_so_far(spec, []) == []
    assert attempt_size(spec, 0) == SIZES["large"]


WITH_EXECUTORS = make_batch_spec(
    driver=Size(cores=1, memory_bytes=2 * GIB),
    executor=Size(cores=2, memory_bytes=3 * GIB),
    executors=2,
)


def test_pods_share_a_size_as_they_asked() -> None:
    assert shares_of(WITH_EXECUTORS, whole_size(WITH_EXECUTORS)) == (
        WITH_EXECUTORS.driver,
        WITH_EXECUTORS.executor,
    )
    alone = make_batch_spec()
    assert shares_of(alone, alone.driver) == (alone.driver, None)


@given(ends=st.integers(0, 4))
def test_all_pods_grow_by_the_same_ratio(ends: int) -> None:
    whole = attempt_size(WITH_EXECUTORS, ends)
    driver, executor = shares_of(WITH_EXECUTORS, whole)
    assert executor is not None
    assert (driver.cores, executor.cores) == (1, 2)
    together = driver.memory_bytes + 2 * executor.memory_bytes
    assert whole.memory_bytes - 3 * MIB <= together <= whole.memory_bytes
    assert abs(driver.memory_bytes * 3 - executor.memory_bytes * 2) <= 3 * MIB


@pytest.mark.parametrize("overcommit", [1, 2])
def test_each_pod_is_counted_for_its_own_time(overcommit: int) -> None:
    whole = whole_size(WITH_EXECUTORS)
    job = make_job(
        cpu_millis=whole.cores * 1000 // overcommit, memory_bytes=whole.memory_bytes // overcommit
    )
    used = pods_cu_millis(job, WITH_EXECUTORS, whole, driver=10_000, executors=7_000)
    assert used == (10_000 + 2 * 7_000) // overcommit, "1 CU for 10 s, 2 CU for 7 s together"
