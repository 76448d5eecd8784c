"""The pause before the next attempt."""

from __future__ import annotations

from datetime import timedelta

from jobs.lifecycle.events import Fault
from jobs.lifecycle.retry import Backoff, may_retry
from tests.support.jobs import NOW, make_job


def test_the_pause_doubles_up_to_the_worst() -> None:
    backoff = Backoff(pause=timedelta(seconds=2), worst=timedelta(seconds=7))
    pauses = [backoff.not_before(make_job(attempt=n), NOW) - NOW for n in (1, 2, 3, 90)]
    assert [pause.total_seconds() for pause in pauses] == [2, 4, 7, 7]


def test_only_the_platform_is_given_another_try() -> None:
    assert may_retry(make_job(attempt=2), Fault.PLATFORM)
    assert not may_retry(make_job(attempt=3), Fault.PLATFORM)
    assert not may_retry(make_job(attempt=1), Fault.USER)
