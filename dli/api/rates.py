"""How many requests one token may send: an average a second, and a burst above it.

Each replica counts for itself, in memory: behind a balancer over n replicas a token may send n
times as much. That keeps the count off the way of every statement; what must hold over replicas is
a queue's limit.
"""

from __future__ import annotations

import math

from throttled import RateLimiterType, Throttled, rate_limiter, store

from storage.base.errors import BusyError

_TOKENS = 10_000  # that are remembered; who was silent for longest goes first


class RateLimitedError(BusyError):
    """The token sends more requests than it may; ``retry_after`` says for how many seconds."""

    code = "rate_limited"


class Rates:
    """The counts of one replica. Thread-safe."""

    def __init__(self, *, per_second: int, burst: int) -> None:
        """``per_second`` 0: no limit."""
        self._throttled: Throttled | None = None
        if per_second:
            self._throttled = Throttled(
                using=RateLimiterType.GCRA.value,
                quota=rate_limiter.per_sec(per_second, burst=max(burst, 1)),
                store=store.MemoryStore(options={"MAX_SIZE": _TOKENS}),
            )

    def check(self, token_id: str) -> None:
        """Count a request of this token. Raises ``RateLimitedError``."""
        if self._throttled is None:
            return
        result = self._throttled.limit(token_id)
        if result.limited:
            raise RateLimitedError(
                "this token sends more requests than it may",
                hint="send them slower; `wait` and `follow` spare you from asking again",
                retry_after=max(math.ceil(result.state.retry_after), 1),
            )
