"""Ids sort by time and never repeat."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from storage.base.ids import new_id

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_id_is_its_prefix_and_26_characters() -> None:
    assert re.fullmatch(r"stm_[0-9a-hjkmnp-tv-z]{26}", new_id("stm", START))


def test_ids_of_one_millisecond_sort_as_they_were_made() -> None:
    made = [new_id("stm", START) for _ in range(2000)]
    assert made == sorted(set(made))


@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_later_ids_sort_later(first: int, second: int) -> None:
    early, late = sorted((first, second))
    base = datetime(2100, 1, 1, tzinfo=UTC)  # past what the other tests have counted up to
    ids = [new_id("x", base + timedelta(milliseconds=at)) for at in (early, late)]
    assert early == late or ids == sorted(ids)


def test_ids_of_many_threads_differ() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: new_id("x", START), range(4000)))
    assert len(set(made)) == 4000
