"""Both clocks keep the same promises; the manual one moves only when told."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from storage.base.clock import Clock, ManualClock, SystemClock

SECOND = timedelta(seconds=1)


@pytest.fixture(params=[SystemClock, ManualClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


def test_now_is_aware_and_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_wait_says_whether_it_was_stopped(clock: Clock) -> None:
    stop = threading.Event()
    assert not clock.wait(stop, timedelta(milliseconds=5))
    stop.set()
    assert clock.wait(stop, timedelta(milliseconds=5))


def test_wait_moves_both_times_on(clock: Clock) -> None:
    now, monotonic = clock.now(), clock.monotonic()
    clock.wait(threading.Event(), timedelta(milliseconds=20))
    assert clock.now() - now >= timedelta(milliseconds=19)
    assert clock.monotonic() - monotonic >= 0.019


def test_negative_pause_is_none(clock: Clock) -> None:
    assert not clock.wait(threading.Event(), -SECOND)


def test_set_stop_ends_a_real_wait() -> None:
    stop = threading.Event()
    threading.Timer(0.01, stop.set).start()
    assert SystemClock().wait(stop, timedelta(minutes=5))


def test_manual_time_stands_still() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    assert clock.now() == clock.now()
    clock.advance(SECOND)
    assert clock.now() == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert clock.monotonic() == 1.0


def test_manual_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-SECOND)
