"""The time that an engine takes for a statement, without what is done with the rows beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from storage.base.clock import Clock

T = TypeVar("T")


class Stopwatch:
    """Adds up the time of blocks and of the waits for an iterator's next item."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seconds = 0.0

    @property
    def millis(self) -> int:
        """So far, rounded."""
        return round(self._seconds * 1000)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time of the block."""
        began = self._clock.monotonic()
        try:
            yield
        finally:
            self._seconds += self._clock.monotonic() - began

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """``items``; only the waits for them count."""
        rest = iter(items)
        while True:
            with self.running():
                item = next(rest, None)
            if item is None:
                return
            yield item
