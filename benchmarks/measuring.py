"""What all benchmarks share: rows of the table, medians, and how a pair is measured fairly."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. ``baseline`` was measured in the same run, in the same unit."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    beside: str = ""  #: what the baseline is
    aim: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a benchmark may use: a folder that is thrown away, and how much time to take."""

    folder: Path
    quick: bool

    @property
    def scale(self) -> str:
        """The TPC-H scale factor of the data."""
        return "0.1" if self.quick else "1"

    def home(self, name: str) -> Path:
        """A fresh home for a service."""
        home = self.folder / name
        home.mkdir()
        return home


def milliseconds(action: Callable[[], object]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000


def paired(
    action: Callable[[], object], baseline: Callable[[], object], *, times: int
) -> tuple[float, float]:
    """Medians of both in milliseconds, called in turns so that both meet the same machine."""
    for warm_up in (baseline, action, baseline, action):
        warm_up()
    measured, beside = [], []
    for _ in range(times):
        beside.append(milliseconds(baseline))
        measured.append(milliseconds(action))
    return statistics.median(measured), statistics.median(beside)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class PeakMemory:
    """The highest resident memory of a process during a block, looked at every 20 ms."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.before = self.bytes = self._process.memory_info().rss

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.bytes = max(self.bytes, self._process.memory_info().rss)
