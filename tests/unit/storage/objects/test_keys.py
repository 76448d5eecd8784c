"""Folders of keys: what may be told apart at a store by how keys start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.base.ids import JobId, ProjectId, TableId
from storage.catalog.catalog import managed_folder
from storage.objects.keys import folder
from storage.results.writer import attempt_prefix

PROJECTS = st.from_regex(r"[a-z][a-z0-9_-]{0,62}", fullmatch=True)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a/", "/a", "../other", "a/../other", "a\0", ".unfinished-a"]
)
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    with pytest.raises(ValueError):
        folder("top", name, "x")
    with pytest.raises(ValueError):
        managed_folder(ProjectId(name), TableId("tbl_1"))
    with pytest.raises(ValueError):
        attempt_prefix(ProjectId("one"), JobId(name), 1)


@given(one=PROJECTS, other=PROJECTS)
def test_two_projects_have_no_key_in_common(one: str, other: str) -> None:
    """Nor does a name that starts as another, or that looks like the id of a table or a job."""
    tables = [managed_folder(ProjectId(name), TableId("tbl_1")) for name in (one, other)]
    results = [attempt_prefix(ProjectId(name), JobId("stm_1"), 1) for name in (one, other)]
    for mine, theirs in (tables, results):
        root = folder(mine.partition("/")[0], one)
        assert mine.startswith(root)
        assert theirs.startswith(root) == (one == other)
        assert not mine.startswith(("tables/", "results/"))  # where all lay side by side before
