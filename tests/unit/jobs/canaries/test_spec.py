"""The split of a queue's statements, and what a canary may say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.canaries.spec import CanaryInvalidError, checked, falls_within
from storage.base.ids import JobId, new_id
from tests.support.canaries import make_canary
from tests.support.jobs import NOW

ids = st.integers(0, 10**12).map(lambda number: JobId(f"stm_{number}"))
shares = st.integers(0, 100)
SALTS = st.sampled_from(["split", "shadow"])


@given(ids, shares, shares, SALTS)
def test_what_is_among_some_is_among_more(job: JobId, one: int, two: int, salt: str) -> None:
    less, more = sorted((one, two))
    assert falls_within(job, more, of=salt) or not falls_within(job, less, of=salt)


@given(ids, SALTS)
def test_none_are_among_none_and_all_among_all(job: JobId, salt: str) -> None:
    assert not falls_within(job, 0, of=salt)
    assert falls_within(job, 100, of=salt)


@pytest.mark.parametrize("percent", [1, 10, 50, 90])
def test_the_share_of_many_is_near_what_was_asked_for(percent: int) -> None:
    """Within five standard deviations, of ids as they are made."""
    count = 20_000
    among = sum(falls_within(JobId(new_id("stm", NOW)), percent, of="split") for _ in range(count))
    share = percent / 100
    assert abs(among - share * count) < 5 * (count * share * (1 - share)) ** 0.5


def test_split_and_shadow_are_chosen_apart() -> None:
    jobs = [JobId(f"stm_{number}") for number in range(10_000)]
    split = [job for job in jobs if falls_within(job, 50, of="split")]
    both = [job for job in split if falls_within(job, 50, of="shadow")]
    assert 0.45 < len(both) / len(split) < 0.55


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"image": "not an image"}, "image"),
        ({"image": ""}, "image"),
        ({"image": "-x"}, "image"),
        ({"percent": 101}, "percent"),
        ({"shadow": -1}, "shadow"),
        ({"max_errors": 0}, "max_errors"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(CanaryInvalidError) as caught:
        checked(make_canary(**changes))
    assert caught.value.details["field"] == field


@pytest.mark.parametrize(
    "image", ["dli:2", "registry.example:5000/team/dli:2", f"dli@sha256:{'ab' * 32}"]
)
def test_images_are_named_as_everywhere(image: str) -> None:
    assert checked(make_canary(image=image)).image == image
