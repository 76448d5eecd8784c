"""Logs in objects: parts by offset, gaps passed over, whole after any way of reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.launchers.api import LogPart, LogStream
from jobs.runs.logs import read_log
from storage.objects.memory import MemoryStore
from tests.support.jobs import make_job

JOB = make_job(attempt=1)


def kept(*parts: tuple[int, bytes]) -> MemoryStore:
    store = MemoryStore()
    for offset, data in parts:
        store.put(f"logs/{JOB.id}/1/stdout/{offset:020d}", data)
    return store


def read(store: MemoryStore, offset: int = 0, most: int = 1 << 20) -> LogPart:
    return read_log(store, None, JOB, attempt=1, stream=LogStream.STDOUT, offset=offset, most=most)


def test_nothing_is_an_empty_part() -> None:
    assert read(kept()) == LogPart(offset=0, data=b"")
    assert read(kept(), offset=7) == LogPart(offset=7, data=b"")


@pytest.mark.parametrize(
    ("offset", "most", "found"),
    [(0, 100, b"abcdef"), (2, 100, b"cdef"), (4, 100, b"ef"), (1, 3, b"bcd"), (6, 100, b"")],
)
def test_a_part_goes_over_the_bounds_of_objects(offset: int, most: int, found: bytes) -> None:
    assert read(kept((0, b"abc"), (3, b"def")), offset, most).data == found


def test_a_gap_is_passed_over_by_the_next_call() -> None:
    store = kept((0, b"abc"), (10, b"xyz"))
    first = read(store)
    assert (first.data, first.end) == (b"abc", 3)
    second = read(store, offset=first.end)
    assert (second.offset, second.data) == (10, b"xyz")


def test_streams_and_attempts_are_apart() -> None:
    store = kept((0, b"abc"))
    other = read_log(store, None, JOB, attempt=1, stream=LogStream.STDERR, offset=0, most=9)
    later = read_log(store, None, JOB, attempt=2, stream=LogStream.STDOUT, offset=0, most=9)
    assert (other.data, later.data) == (b"", b"")


@given(st.lists(st.binary(min_size=1, max_size=9), max_size=6), st.integers(1, 5))
def test_reading_on_gives_all_of_it(parts: list[bytes], most: int) -> None:
    offsets = [sum(map(len, parts[:index])) for index in range(len(parts))]
    store = kept(*zip(offsets, parts, strict=True))
    found, offset = b"", 0
    while part := read(store, offset, most).data:
        found += part
        offset += len(part)
    assert found == b"".join(parts)
