"""Counts the requests of tokens, for ``rates``, by the generic cell rate algorithm."""

from __future__ import annotations

import math

from throttled import RateLimiterType, Throttled, rate_limiter, store

_TOKENS = 10_000  # that are remembered; who was silent for longest goes first


class TokenCounts:
    """A ``Limiter`` in memory. Thread-safe."""

    def __init__(self, *, per_second: int, burst: int) -> None:
        self._throttled = Throttled(
            using=RateLimiterType.GCRA.value,
            quota=rate_limiter.per_sec(per_second, burst=max(burst, 1)),
            store=store.MemoryStore(options={"MAX_SIZE": _TOKENS}),
        )

    def wait(self, token_id: str) -> float:
        """Count a request: 0 when it may pass, else the seconds after which one may."""
        result = self._throttled.limit(token_id)
        return max(result.state.retry_after, math.ulp(0)) if result.limited else 0.0
