"""Time, handed in as an object so that tests can turn it by hand."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """The only way to the time of day, to a span between two moments, and to a pause."""

    def now(self) -> datetime:
        """The moment, aware and in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back; for spans only."""

    def wait(self, stop: threading.Event, pause: timedelta) -> bool:
        """Pause until ``stop`` is set or ``pause`` is over; true when ``stop`` is set."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, stop: threading.Event, pause: timedelta) -> bool:
        return stop.wait(max(pause.total_seconds(), 0.0))


class ManualClock:
    """Stands still until ``advance``; a ``wait`` moves it and returns at once."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._now = start

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def advance(self, span: timedelta) -> None:
        """Move on by ``span``, which may not be negative."""
        if span < timedelta(0):
            raise ValueError(f"time does not go back: {span}")
        self._now += span

    def wait(self, stop: threading.Event, pause: timedelta) -> bool:
        self.advance(max(pause, timedelta(0)))
        return stop.is_set()
