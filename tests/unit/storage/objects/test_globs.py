"""Patterns of paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.objects.globs import GlobError, compile_glob, split_glob

PATHS = st.lists(st.text("ab1.", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "sub/a.csv", False),
        ("*.csv", "a.csv/part-0", True),  # a folder of that name gives its files
        ("*", "a/b/c", True),
        ("day=*/x", "day=1/x", True),
        ("day=*/x", "day=1/y", False),
        ("**/x", "x", True),
        ("**/x", "a/b/x", True),
        ("a/**", "a/b/c", True),
        ("?", "ab", False),
        ("[a-c]1", "b1", True),
        ("[!a-c]1", "b1", False),
        ("[!a-c]1", "d1", True),
        ("[c-a]1", "b1", False),
        ("[]]", "]", True),
        ("{a,b*}.csv", "bcd.csv", True),
        ("{a,b*}.csv", "c.csv", False),
        ("{a/b,c}/x", "a/b/x", True),
        ("[a/]b", "ab", True),
        ("a,b}", "a,b}", True),
        ("a.b", "axb", False),
    ],
)
def test_pattern_matches(pattern: str, path: str, expected: bool) -> None:
    assert compile_glob(pattern).matches(path) is expected


@pytest.mark.parametrize("pattern", ["[a", "{a,b", "x{"])
def test_unclosed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(GlobError):
        compile_glob(pattern)


def test_folders_without_a_match_are_skipped() -> None:
    glob = compile_glob("2026/*.csv")
    assert not glob.may_hold("2025")
    assert not glob.may_hold("2026/old")
    assert glob.may_hold("2026/x.csv")
    assert compile_glob("{a/b,c}/x").may_hold("a")


def test_split_keeps_whole_parts() -> None:
    assert split_glob("/a/b*/c") == ("/a", "b*/c")
    assert split_glob("/a/b/c") == ("/a/b/c", "")


@given(path=PATHS, pattern=st.text("ab1.*?/[]{},", max_size=8))
def test_folders_of_a_match_are_never_skipped(path: str, pattern: str) -> None:
    try:
        glob = compile_glob(pattern)
    except GlobError:
        return
    parts = path.split("/")
    if glob.matches(path):
        assert all(glob.may_hold("/".join(parts[:end])) for end in range(1, len(parts)))


@given(path=PATHS)
def test_plain_path_matches_itself_alone(path: str) -> None:
    assert compile_glob(path).matches(path)
    assert not compile_glob(path).matches(path + "x")
