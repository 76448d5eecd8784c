"""Limits on requests of a token."""

from __future__ import annotations

import pytest

from dli.api.rates import RateLimitedError, Rates
from dli.api.wire import problem


def test_a_burst_passes_and_what_follows_is_told_when_to_come_back() -> None:
    rates = Rates(per_second=1, burst=3)
    for _ in range(3):
        rates.check("one")
    with pytest.raises(RateLimitedError) as caught:
        rates.check("one")
    answer = problem(caught.value)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"


def test_a_long_wait_is_told_in_full_seconds() -> None:
    error = RateLimitedError("too many", retry_after=7)
    assert problem(error).headers["Retry-After"] == "7"


def test_tokens_do_not_share_their_limit() -> None:
    rates = Rates(per_second=1, burst=1)
    rates.check("one")
    rates.check("two")


def test_zero_is_no_limit() -> None:
    rates = Rates(per_second=0, burst=1)
    for _ in range(1000):
        rates.check("one")
