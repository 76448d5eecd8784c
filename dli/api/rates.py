"""How many requests one token may send: an average a second, and a burst above it.

Each replica counts for itself, in memory: behind a balancer over n replicas a token may send n
times as much. That keeps the count off the way of every statement; what must hold over replicas is
a queue's limit.
"""

from __future__ import annotations

import importlib
import math
from typing import Protocol

from storage.base.errors import BusyError


class RateLimitedError(BusyError):
    """The token sends more requests than it may; ``retry_after`` says for how many seconds."""

    code = "rate_limited"


class Limiter(Protocol):
    """Counts by token."""

    def wait(self, token_id: str) -> float:
        """Count a request: 0 when it may pass, else the seconds after which one may."""


class Rates:
    """The counts of one replica. Thread-safe."""

    def __init__(self, *, per_second: int, burst: int) -> None:
        """``per_second`` 0: no limit, and what counts is not loaded."""
        self._limiter: Limiter | None = None
        if per_second:
            counting = importlib.import_module("dli.api.counting")
            self._limiter = counting.TokenCounts(per_second=per_second, burst=burst)

    def check(self, token_id: str) -> None:
        """Count a request of this token. Raises ``RateLimitedError``."""
        wait = 0.0 if self._limiter is None else self._limiter.wait(token_id)
        if wait:
            raise RateLimitedError(
                "this token sends more requests than it may",
                hint="send them slower; `wait` and `follow` spare you from asking again",
                retry_after=max(math.ceil(wait), 1),
            )
