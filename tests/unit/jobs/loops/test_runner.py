"""A loop's pace, its patience and its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from jobs.loops.runner import Loop
from storage.base.clock import ManualClock, SystemClock

SECOND = timedelta(seconds=1)


def _run(
    answers: list[Callable[[], int]], *, worst: timedelta = timedelta(minutes=1)
) -> list[float]:
    """The moments of the ticks that give these answers; the last one stops the loop."""
    clock, stop = ManualClock(), threading.Event()
    moments: list[float] = []

    def tick() -> int:
        moments.append(clock.monotonic())
        answer = answers[len(moments) - 1]
        if len(moments) == len(answers):
            stop.set()
        return answer()

    Loop(name="test", tick=tick, clock=clock, idle=SECOND * 2, worst=worst).run(stop)
    return moments


def _busy() -> int:
    return 3


def _idle() -> int:
    return 0


def _fail() -> int:
    raise RuntimeError("tick")


def test_a_busy_tick_is_followed_at_once() -> None:
    assert _run([_busy, _busy, _idle, _idle, _busy]) == [0, 0, 0, 2, 4]


def test_failures_wait_longer_and_longer(caplog: pytest.LogCaptureFixture) -> None:
    moments = _run([_fail, _fail, _fail, _idle, _fail, _idle], worst=SECOND * 8)
    assert moments == [0, 4, 12, 20, 22, 26]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 4


def test_a_wake_up_ends_the_pause() -> None:
    stop, ticked = threading.Event(), threading.Semaphore(0)

    def tick() -> int:
        ticked.release()
        return 0

    loop = Loop(name="test", tick=tick, clock=SystemClock(), idle=timedelta(hours=1))
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    assert ticked.acquire(timeout=60)
    loop.wake.set()
    assert ticked.acquire(timeout=60)
    stop.set()
    thread.join(60)
    assert not thread.is_alive(), "it looks for the stop each second"
