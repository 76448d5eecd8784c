"""The size of an attempt: that of the spec, one step up for each out-of-memory end before it."""

from __future__ import annotations

from collections.abc import Iterable

from jobs.batches.sizes import next_size, whole_size
from jobs.launchers.api import Capacity
from jobs.lifecycle.events import KINDS, Claimed, Failed, Fault
from jobs.lifecycle.spec import BatchSpec, Size
from jobs.views import JobEvent


def memory_ends(history: Iterable[JobEvent]) -> int:
    """How many attempts ended for want of memory."""
    failed = KINDS[Failed]
    return sum(
        step.kind == failed and step.detail.get("fault") == Fault.MEMORY.value for step in history
    )


def sizes_so_far(spec: BatchSpec, history: Iterable[JobEvent]) -> list[Size]:
    """Of each attempt that was begun, in order."""
    claimed, sizes, ends = KINDS[Claimed], [], 0
    for step in history:
        if step.kind == claimed:
            sizes.append(attempt_size(spec, ends))
        ends += memory_ends([step])
    return sizes


def attempt_size(spec: BatchSpec, memory_ends: int) -> Size:
    """What all processes of the attempt may use together."""
    size = whole_size(spec)
    for _ in range(memory_ends):
        size = next_size(size)
    return size


def grown(size: Size, capacity: Capacity) -> Size | None:
    """What follows ``size``; None where the machine as a whole has not so much memory."""
    larger = next_size(size)
    return larger if larger.memory_bytes <= capacity.memory_bytes else None
