"""What a Spark program did, from the event log that its driver wrote: one pass, constant memory.

The log is a line of JSON for each event. It may end in the middle of a line where the driver was
killed, and it may have no line at all where Spark never started; both are told as far as they go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

_MOST_STAGES = 20  #: that are told one by one; the totals are of all
_LONGEST_NAME = 120
_TASK, _STAGE = b'"SparkListenerTaskEnd"', b'"SparkListenerStageCompleted"'
_JOB_START, _JOB_END = b'"SparkListenerJobStart"', b'"SparkListenerJobEnd"'
_BEGIN, _END = b'"SparkListenerApplicationStart"', b'"SparkListenerApplicationEnd"'
_KINDS = (_TASK, _STAGE, _JOB_START, _JOB_END, _BEGIN, _END)
_NO_FAILURES = frozenset({"Success", "TaskKilled"})  # a task that is not needed any more is killed
_EVENT_WITHIN = 100  # bytes from the start of a line in which its event is named


@dataclass(slots=True, kw_only=True)
class Totals:
    """What tasks used. Bytes are bytes, ``_ms`` milliseconds; failed tasks count all the same."""

    tasks: int = 0
    failed_tasks: int = 0
    run_ms: int = 0  #: of all tasks, side by side or not
    cpu_ms: int = 0  #: of the tasks' own threads: without the driver, Python workers and GC
    gc_ms: int = 0
    input_bytes: int = 0
    input_rows: int = 0
    output_bytes: int = 0
    output_rows: int = 0
    shuffle_read_bytes: int = 0
    shuffle_write_bytes: int = 0
    spilled_memory_bytes: int = 0
    spilled_disk_bytes: int = 0
    peak_execution_memory: int = 0  #: of the task with the most


@dataclass(slots=True, kw_only=True)
class Stage:
    """One attempt of one stage."""

    id: int
    attempt: int
    name: str
    planned_tasks: int
    ms: int
    failure: str | None
    totals: Totals


@dataclass(slots=True, kw_only=True)
class SparkSummary:
    """All that is told of one program. ``complete``: the driver closed its log itself."""

    spark_version: str | None = None
    application: str | None = None
    jobs: int = 0
    failed_jobs: int = 0
    stages: int = 0
    failed_stages: int = 0
    totals: Totals = field(default_factory=Totals)
    longest: list[Stage] = field(default_factory=list)  #: in the order of their ids
    ms: int | None = None
    complete: bool = False

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    def short(self) -> dict[str, Any]:
        """As JSON, without the stages one by one."""
        return {name: value for name, value in asdict(self).items() if name != "longest"}


def summarise(lines: Iterable[bytes], *, folder: str = "") -> SparkSummary:
    """Read the lines of an event log. Lines that are cut off or of no interest are passed over.

    ``folder`` is that of the program, which the names of stages are told without.
    """
    reading = _Reading(folder)
    for line in lines:
        head = line[:_EVENT_WITHIN]
        if b'"SparkListenerLogStart"' in head or any(kind in head for kind in _KINDS):
            try:
                event = json.loads(line)
            except ValueError:  # the last line of a driver that was killed
                continue
            reading.take(event)
    return reading.ended()


class _Reading:
    """A summary under way. Holds the totals of the stages that have not ended."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._told = SparkSummary()
        self._open: dict[tuple[int, int], Totals] = {}
        self._began: int | None = None

    def take(self, event: dict[str, Any]) -> None:
        match event["Event"]:
            case "SparkListenerTaskEnd":
                self._task(event)
            case "SparkListenerStageCompleted":
                self._stage(event["Stage Info"])
            case "SparkListenerJobStart":
                self._told.jobs += 1
            case "SparkListenerJobEnd":
                self._told.failed_jobs += event["Job Result"]["Result"] != "JobSucceeded"
            case "SparkListenerLogStart":
                self._told.spark_version = event["Spark Version"]
            case "SparkListenerApplicationStart":
                self._told.application = event.get("App ID")
                self._began = event["Timestamp"]
            case "SparkListenerApplicationEnd":
                self._told.complete = True
                if self._began is not None:
                    self._told.ms = event["Timestamp"] - self._began

    def ended(self) -> SparkSummary:
        self._told.longest.sort(key=lambda stage: (stage.id, stage.attempt))
        return self._told

    def _task(self, event: dict[str, Any]) -> None:
        failed = event["Task End Reason"]["Reason"] not in _NO_FAILURES
        key = event["Stage ID"], event["Stage Attempt ID"]
        metrics = event.get("Task Metrics") or {}  # none of a task that was lost with its executor
        for totals in (self._told.totals, self._open.setdefault(key, Totals())):
            totals.tasks += 1
            totals.failed_tasks += failed
            _add(totals, metrics)

    def _stage(self, info: dict[str, Any]) -> None:
        key = info["Stage ID"], info["Stage Attempt ID"]
        failure = info.get("Failure Reason")
        self._told.stages += 1
        self._told.failed_stages += failure is not None
        began, ended = info.get("Submission Time"), info.get("Completion Time")
        stage = Stage(
            id=key[0],
            attempt=key[1],
            name=info["Stage Name"].replace(self._folder, "")[:_LONGEST_NAME],
            planned_tasks=info["Number of Tasks"],
            ms=ended - began if began is not None and ended is not None else 0,
            failure=None if failure is None else failure.partition("\n")[0][:_LONGEST_NAME],
            totals=self._open.pop(key, Totals()),
        )
        longest = self._told.longest
        longest.append(stage)
        if len(longest) > _MOST_STAGES:
            longest.remove(min(longest, key=lambda each: each.ms))


def _add(totals: Totals, metrics: dict[str, Any]) -> None:
    read = metrics.get("Shuffle Read Metrics", {})
    write = metrics.get("Shuffle Write Metrics", {})
    source, sink = metrics.get("Input Metrics", {}), metrics.get("Output Metrics", {})
    totals.run_ms += metrics.get("Executor Run Time", 0)
    totals.cpu_ms += metrics.get("Executor CPU Time", 0) // 1_000_000
    totals.gc_ms += metrics.get("JVM GC Time", 0)
    totals.input_bytes += source.get("Bytes Read", 0)
    totals.input_rows += source.get("Records Read", 0)
    totals.output_bytes += sink.get("Bytes Written", 0)
    totals.output_rows += sink.get("Records Written", 0)
    totals.shuffle_read_bytes += read.get("Remote Bytes Read", 0) + read.get("Local Bytes Read", 0)
    totals.shuffle_write_bytes += write.get("Shuffle Bytes Written", 0)
    totals.spilled_memory_bytes += metrics.get("Memory Bytes Spilled", 0)
    totals.spilled_disk_bytes += metrics.get("Disk Bytes Spilled", 0)
    peak = metrics.get("Peak Execution Memory", 0)
    totals.peak_execution_memory = max(totals.peak_execution_memory, peak)
