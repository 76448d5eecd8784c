"""What a queue may be."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.queues.definitions import QueueInvalidError, validated
from tests.support.jobs import make_queue


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Night"),
        ("name", ""),
        ("name", "a" * 64),
        ("max_running", 0),
        ("max_waiting", -1),
        ("max_cu", 0),
        ("max_bytes", -1),
        ("max_cost", 2**63),
        ("timeout", timedelta(0)),
        ("timeout", timedelta(days=8)),
        ("guard_levels", {"cross_join": "loud"}),
        ("guard_levels", {"crossjoin": "warn"}),
    ],
)
def test_a_wrong_value_is_told_by_its_field(field: str, value: object) -> None:
    with pytest.raises(QueueInvalidError) as caught:
        validated(make_queue(**{field: value}))
    assert caught.value.details["field"] == field


def test_bounds_themselves_are_allowed() -> None:
    queue = make_queue(name="a" * 63, max_running=1, max_waiting=0, max_cu=1, max_bytes=0)
    assert validated(queue) is queue
