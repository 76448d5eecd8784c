"""Promises that every object store keeps. A new store is one more row in STORES."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.objects.api import ObjectMissingError, ObjectStore
from storage.objects.folder import FolderStore
from storage.objects.memory import MemoryStore
from storage.objects.s3 import S3Store
from tests.support.servers import S3Server


def s3_store(request: pytest.FixtureRequest, _: Path) -> ObjectStore:
    server: S3Server = request.getfixturevalue("s3_server")
    return S3Store(server.bucket(), "some/prefix/", server.settings)


STORES: dict[str, Callable[[pytest.FixtureRequest, Path], ObjectStore]] = {
    "memory": lambda _, __: MemoryStore(),
    "folder": lambda _, folder: FolderStore(folder / "store"),
    "s3": s3_store,
}

#: Lower case only, as a file system may not tell the cases apart.
PART = st.text("abz09 .-_=%+#&äé漢", min_size=1, max_size=6).filter(
    lambda part: part not in {".", ".."} and not part.startswith(".unfinished-")
)
KEYS = st.lists(PART, min_size=1, max_size=3).map("/".join)
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return STORES[request.param](request, tmp_path)


@pytest.fixture
def rounds() -> Callable[[], str]:
    """A new key prefix for each example of a property, as the store is shared by all."""
    numbers = iter(range(10**6))
    return lambda: f"round{next(numbers):06}/"


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return [found.key for found in store.list(prefix)]


def test_get_returns_what_was_put(store: ObjectStore) -> None:
    store.put("a/b.bin", bytes(range(256)))
    assert store.get("a/b.bin") == bytes(range(256))


def test_put_replaces_what_was_there(store: ObjectStore) -> None:
    store.put("a", b"first")
    before = store.stat("a")
    store.put("a", b"second, and longer")
    assert store.get("a") == b"second, and longer"
    assert store.stat("a").etag != before.etag


def test_empty_objects_are_objects(store: ObjectStore) -> None:
    store.put("empty", b"")
    assert store.get("empty") == b""
    assert store.get("empty", start=0, length=5) == b""
    assert store.stat("empty").size == 0
    assert keys(store, "") == ["empty"]


def test_range_past_the_end_is_cut(store: ObjectStore) -> None:
    store.put("a/b", b"12345")
    assert store.get("a/b", start=3, length=10) == b"45"
    assert store.get("a/b", start=3) == b"45"
    assert store.get("a/b", start=5) == b""
    assert store.get("a/b", start=9) == b""


def test_zero_length_is_empty(store: ObjectStore) -> None:  # S3 clients take 0 for "to the end"
    store.put("a/b", b"12345")
    assert store.get("a/b", start=1, length=0) == b""


@FEW
@given(data=st.binary(max_size=40), start=st.integers(0, 50), length=st.none() | st.integers(0, 50))
def test_ranges_are_slices(store: ObjectStore, data: bytes, start: int, length: int | None) -> None:
    store.put("ranged", data)
    end = None if length is None else start + length
    assert store.get("ranged", start=start, length=length) == data[start:end]


@pytest.mark.parametrize("read", ["get", "empty range", "stat"])
def test_missing_object_is_told_so(store: ObjectStore, read: str) -> None:
    store.put("here", b"1")
    reads: dict[str, Callable[[], object]] = {
        "get": lambda: store.get("not/here"),
        "empty range": lambda: store.get("not/here", length=0),
        "stat": lambda: store.stat("not/here"),
    }
    with pytest.raises(ObjectMissingError) as told:
        reads[read]()
    assert told.value.details["key"] == "not/here"


def test_a_folder_is_no_object(store: ObjectStore) -> None:
    store.put("a/b", b"1")
    for read in (store.get, store.stat):
        with pytest.raises(ObjectMissingError):
            read("a")


def test_delete_removes_and_may_be_repeated(store: ObjectStore) -> None:
    store.put("a/b/c", b"1")
    store.put("a/d", b"2")
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert keys(store, "") == ["a/d"]


def test_stat_and_list_say_the_same(store: ObjectStore) -> None:
    store.put("x/1", b"one")
    store.put("x/2", b"")
    assert list(store.list("x/")) == [store.stat("x/1"), store.stat("x/2")]
    assert store.stat("x/1").size == 3


def test_list_takes_any_start_of_keys(store: ObjectStore) -> None:
    for key in ("ab/c", "abc", "abd/e/f", "b"):
        store.put(key, b"")
    assert keys(store, "ab") == ["ab/c", "abc", "abd/e/f"]
    assert keys(store, "ab/") == ["ab/c"]
    assert keys(store, "abd/e") == ["abd/e/f"]
    assert keys(store, "nothing/here/") == []


def test_list_goes_by_keys_and_not_by_folders(store: ObjectStore) -> None:
    for key in ("a/b", "a.b", "a-b", "a0", "a/c/d", "a/c.d"):
        store.put(key, b"")
    assert keys(store, "") == ["a-b", "a.b", "a/b", "a/c.d", "a/c/d", "a0"]


@FEW
@given(made=st.sets(KEYS, max_size=8), cut=st.integers(0, 12))
def test_list_is_sorted_and_complete(
    store: ObjectStore, rounds: Callable[[], str], made: set[str], cut: int
) -> None:
    base = rounds()
    apart = {key for key in made if not any(other.startswith(key + "/") for other in made)}
    for key in apart:
        store.put(base + key, key.encode())
    some = min(apart, default="")[:cut].rpartition("/")[0]
    for prefix in ("", some):
        expected = sorted(base + key for key in apart if key.startswith(prefix))
        assert keys(store, base + prefix) == expected
    assert all(store.get(base + key) == key.encode() for key in apart)


def test_list_passes_the_page_size(store: ObjectStore) -> None:
    names = sorted(
        f"many/{number:04}{tail}" for number in range(800) for tail in ("/x", "-y", ".z")
    )
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, b"x"), names))
    assert keys(store, "many/") == names


def test_put_file_keeps_its_bytes(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    data = os.urandom(1 << 20) * 9
    source.write_bytes(data)
    store.put_file("big/file", source)
    assert store.get("big/file") == data
    assert store.stat("big/file").size == len(data)


def test_put_file_of_nothing_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file("a/b", tmp_path / "missing")
    assert keys(store, "") == []


@pytest.mark.parametrize(
    "key",
    ["", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\0b", "a\nb", "\ud800", "\uffff",
     ".unfinished-1", "a/" * 600 + "a", "x" * 201],
)  # fmt: skip
def test_unsafe_keys_are_programming_mistakes(store: ObjectStore, key: str) -> None:
    for use in (store.get, store.stat, store.delete, store.uri, lambda key: store.put(key, b"")):
        with pytest.raises(ValueError):
            use(key)


@pytest.mark.parametrize("prefix", ["/", "../", "a/../b", "a//b", "a\0"])
def test_unsafe_prefixes_are_programming_mistakes(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ValueError):
        list(store.list(prefix))


def test_readers_never_see_half_an_object(store: ObjectStore) -> None:
    versions = [bytes([number]) * 200_000 for number in range(1, 9)]
    store.put("shared", versions[0])
    stop, seen = threading.Event(), set[int]()

    def read() -> None:
        while not stop.is_set():
            data = store.get("shared")
            assert len(data) == 200_000
            assert len(set(data)) == 1
            seen.add(data[0])

    with ThreadPoolExecutor(2) as pool:
        reads = [pool.submit(read) for _ in range(2)]
        for version in versions:
            store.put("shared", version)
        stop.set()
        for one in reads:
            one.result()
    assert seen


def test_neighbours_come_and_go_at_once(store: ObjectStore) -> None:
    def churn(number: int) -> None:
        for _ in range(20):
            store.put(f"same/folder/{number}", b"1")
            store.delete(f"same/folder/{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(churn, range(4)))
    assert keys(store, "") == []


def test_uris_are_absolute_and_different(store: ObjectStore) -> None:
    first, second = store.uri("a/b"), store.uri("a/c")
    assert first != second
    assert first.split("://")[0] in {"file", "s3", "memory"}
    assert first.endswith("a/b")
