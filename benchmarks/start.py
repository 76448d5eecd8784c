"""From ``dli up`` to the first rows, and from nothing to a warm engine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks.measuring import Context, Row
from benchmarks.service import Service, start_service


def run(context: Context) -> Iterator[Row]:
    """Service start to first result on Sail; then the cold start of each engine on its own."""
    times = 2 if context.quick else 5
    firsts, readies, engines = [], [], []
    for number in range(times):
        service = start_service(context.home(f"start-{number}"))
        try:
            service.await_ready()
            readies.append(time.monotonic() - service.started)
            engines.append(_first_statement(service, "sail"))
            firsts.append(time.monotonic() - service.started)
        finally:
            service.stop()
    first = statistics.median(firsts)
    yield Row(
        name="service start to first result (Sail)",
        value=first,
        unit="s",
        baseline=statistics.median(readies),
        beside="start to ready",
        aim="≤ 2",
        met=first <= 2,
    )
    yield Row(name="Sail cold start to its first rows", value=statistics.median(engines), unit="s")
    yield from _spark(context, times)


def _spark(context: Context, times: int) -> Iterator[Row]:
    """Twice on one home: the first start has no class archive yet, later ones have it."""
    home, seconds = context.home("start-spark"), []
    for _ in range(max(times // 2, 2)):
        service = start_service(home)
        try:
            service.await_ready()
            seconds.append(_first_statement(service, "spark"))
            _first_statement(service, "spark")
        finally:
            service.stop()
    yield Row(
        name="Spark cold start to its first rows",
        value=min(seconds[1:]),
        unit="s",
        baseline=seconds[0],
        beside="the first on a new home",
    )


def _first_statement(service: Service, engine: str) -> float:
    with service.client() as client:
        began = time.monotonic()
        client.run("SELECT 1 AS one", engine=engine)
        return time.monotonic() - began
