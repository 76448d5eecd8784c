"""Metrics count, are read when asked, and belong to one service."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from dli.observability.collect import counted
from dli.observability.metrics import Metrics, Reading
from jobs.loops.runner import Loop
from storage.base.clock import ManualClock


def text(metrics: Metrics) -> str:
    return metrics.exposition()[0].decode()


def test_requests_are_counted_by_route() -> None:
    metrics = Metrics()
    metrics.request("GET", "/queues", 200, 0.004)
    told = text(metrics)
    assert 'dli_request_seconds_count{method="GET",route="/queues",status="200"} 1.0' in told
    assert "dli_request_seconds_count" not in text(Metrics()).replace("# ", "")


def test_firings_are_counted_by_how_late_they_were() -> None:
    metrics = Metrics()
    metrics.fired("sch", timedelta(seconds=3))
    metrics.fired("trg", timedelta(milliseconds=-1))
    text = metrics.exposition()[0].decode()
    assert 'dli_firing_lateness_seconds_bucket{le="2.5",source="schedule"} 0.0' in text
    assert 'dli_firing_lateness_seconds_bucket{le="5.0",source="schedule"} 1.0' in text
    assert 'dli_firing_lateness_seconds_sum{source="trigger"} 0.0' in text


def test_values_elsewhere_are_read_at_each_scrape() -> None:
    metrics, waiting = Metrics(), [0]

    def read() -> Iterable[Reading]:
        yield "dli_waiting", "How many wait.", ("queue",), [(("q",), waiting[0])]

    metrics.read_from(read)
    waiting[0] = 7
    assert 'dli_waiting{queue="q"} 7.0' in text(metrics)


def test_a_total_that_is_read_is_a_counter() -> None:
    metrics = Metrics()
    metrics.read_from(lambda: [("dli_ends_total", "Ends.", ("kind",), [(("x",), 2)])])
    told = text(metrics)
    assert "# TYPE dli_ends_total counter" in told
    assert 'dli_ends_total{kind="x"} 2.0' in told


def test_a_failing_tick_is_counted_and_still_raised() -> None:
    def tick() -> int:
        raise OSError("no")

    metrics = Metrics()
    loop = Loop(name="odd", tick=tick, clock=ManualClock(), idle=timedelta(seconds=1))
    with pytest.raises(OSError, match="no"):
        counted(loop, metrics).tick()
    assert 'dli_loop_failures_total{loop="odd"} 1.0' in text(metrics)


def test_a_counted_loop_wakes_as_before() -> None:
    loop = Loop(name="x", tick=lambda: 0, clock=ManualClock(), idle=timedelta(seconds=1))
    assert counted(loop, Metrics()).wake is loop.wake
