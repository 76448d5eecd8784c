"""The size that is suggested for the next run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobs.history.sizing import suggest
from jobs.history.store import FAILED, FINISHED, MEMORY, Observation
from jobs.lifecycle.spec import JobKind, Size
from storage.base.ids import JobId
from tests.support.jobs import NOW, PROJECT

GIB = 2**30


def _seen(peak: float | None, given: int = 4, **changes: Any) -> Observation:
    values: dict[str, Any] = {
        "job_id": JobId("bat_1"),
        "attempt": 1,
        "project_id": PROJECT,
        "queue": "default",
        "fingerprint": "f",
        "kind": JobKind.BATCH,
        "outcome": FINISHED,
        "at": NOW,
        "wall": timedelta(minutes=1),
        "peak_memory": None if peak is None else int(peak * GIB),
        "cpu_millis": 2000,
        "memory_bytes": given * GIB,
    }
    return Observation(**values | changes)


def test_a_quarter_above_the_highest_peak_in_whole_gib() -> None:
    made = suggest([_seen(1.3), _seen(1.5), _seen(1.0)])
    assert made is not None
    assert made.size == Size(cores=2, memory_bytes=2 * GIB)
    assert made.reason == "peak 1.6 GB of 4.3 GB over 3 runs"


def test_only_the_last_runs_count() -> None:
    made = suggest([*[_seen(1.0)] * 5, _seen(9.0)])
    assert made is not None
    assert made.size.memory_bytes == 2 * GIB


def test_after_an_end_for_want_of_memory_it_is_twice_as_much() -> None:
    made = suggest([_seen(3.9, outcome=MEMORY), _seen(1.0)])
    assert made is not None
    assert made.size.memory_bytes == 8 * GIB
    assert "out of memory" in made.reason


def test_never_again_the_size_that_was_too_small() -> None:
    made = suggest([_seen(1.0, 8), _seen(None, 4, outcome=MEMORY)])
    assert made is not None
    assert made.size.memory_bytes == 5 * GIB


def test_what_spilled_does_not_get_less() -> None:
    made = suggest([_seen(1.0, spill_bytes=10**9)])
    assert made is not None
    assert made.size.memory_bytes == 4 * GIB
    assert made.reason.endswith("1.0 GB spilled")


def test_nothing_is_suggested_where_nothing_was_measured() -> None:
    assert suggest([]) is None
    assert suggest([_seen(None)]) is None
    assert suggest([_seen(2.0, outcome=FAILED)]) is None


@given(st.lists(st.floats(0.01, 60), min_size=1, max_size=8), st.integers(1, 64))
def test_it_is_never_below_a_peak_that_finished(peaks: list[float], given_: int) -> None:
    made = suggest([_seen(peak, given_) for peak in peaks])
    assert made is not None
    assert made.size.memory_bytes >= max(peaks[:5]) * GIB
    assert made.size.memory_bytes % GIB == 0
