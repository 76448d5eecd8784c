"""What changed between two texts."""

from __future__ import annotations

from copy import deepcopy

from jobs.pipelines.differences import Change, compare
from jobs.pipelines.reading import read
from tests.support.pipelines import FULL, statement


def test_equal_texts_have_no_difference() -> None:
    assert compare(read(FULL), read(deepcopy(FULL))).empty


def test_each_change_is_told_by_node_and_field() -> None:
    after = deepcopy(FULL)
    after["parallel"] = 5
    del after["queue"]
    after["nodes"]["new"] = statement()
    after["nodes"]["count"]["sql"] = "SELECT 2"
    after["nodes"]["load"]["retry"]["attempts"] = 2
    del after["nodes"]["export"]
    found = compare(read(FULL), read(after))
    assert found.added == ("new",)
    assert found.removed == ("export",)
    assert found.fields == {
        "parallel": Change(before=3, after=5),
        "queue": Change(before="default", after=None),
    }
    assert found.changed == {
        "count": {"sql": Change(before="SELECT count(*) AS n FROM sales.day", after="SELECT 2")},
        "load": {
            "retry": Change(
                before={"attempts": 3, "pause": "10s"}, after={"attempts": 2, "pause": "10s"}
            )
        },
    }
    assert not found.empty
