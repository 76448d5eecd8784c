"""Prometheus metrics: what happens in this process, and what the rows say when they are asked.

Names begin with ``dli_``. No label holds a project, a user or a text: metrics are read by those who
run the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

#: name, help, labels, and the values by labels: what a part tells of itself when it is scraped
Reading = tuple[str, str, tuple[str, ...], Iterable[tuple[tuple[str, ...], float]]]


class Metrics:
    """The metrics of one service; two services in one process do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Histogram(
            "dli_request_seconds", "Requests by route and status.",
            ("method", "route", "status"), buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._ended = Histogram(
            "dli_statement_seconds", "Statements that ended here, from quote to end.",
            ("outcome",), buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._fired = Histogram(
            "dli_firing_lateness_seconds",
            "From the due time of a schedule, or the cause of a trigger, to its job.",
            ("source",), buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.usage = Counter(
            "dli_usage", "Usage by meter: bytes, or milliseconds of a compute unit.",
            ("meter",), registry=self.registry,
        )  # fmt: skip
        self.loop_failures = Counter(
            "dli_loop_failures_total", "Ticks of background loops that raised.",
            ("loop",), registry=self.registry,
        )  # fmt: skip
        self.up = Gauge("dli_up", "1 while the service takes work.", registry=self.registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def statement_ended(self, outcome: str, seconds: float) -> None:
        """Count a statement that ended: ``finished`` or ``not_finished``."""
        self._ended.labels(outcome).observe(seconds)

    def fired(self, source: str, late: timedelta) -> None:
        """Count a firing that became a job; ``source`` is ``sch`` or ``trg``."""
        name = "schedule" if source == "sch" else "trigger"
        self._fired.labels(name).observe(max(late.total_seconds(), 0.0))

    def read_from(self, read: Callable[[], Iterable[Reading]]) -> None:
        """Ask ``read`` at each scrape for values that lie elsewhere, such as in rows."""
        self.registry.register(_Asked(read))

    def exposition(self) -> tuple[bytes, str]:
        """All metrics in Prometheus' text form, and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Asked(Collector):
    def __init__(self, read: Callable[[], Iterable[Reading]]) -> None:
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The values of this moment."""
        for name, help_text, labels, values in self._read():
            made = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            family = made(name, help_text, labels=labels)
            for key, value in values:
                family.add_metric(key, value)
            yield family
