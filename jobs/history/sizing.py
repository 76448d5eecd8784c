"""The size for the next run of a program, from what its last runs used. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.history.store import FINISHED, MEMORY, Observation
from jobs.lifecycle.spec import Size
from storage.base.quantities import format_size

_GIB = 2**30
_RUNS = 5  # that are looked at
_LEAST = _GIB
_ROOM = (5, 4)  # above the highest peak


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A size for the whole job, and why; who asks for a size of their own gets that."""

    size: Size
    reason: str
    said: bool = False  #: by somebody, so that it counts as it is


def suggest(seen: Sequence[Observation]) -> Suggestion | None:
    """From the attempts of one fingerprint, newest first; None where nothing is known of memory.

    A run that was out of memory calls for twice what it had, and whatever finished for a quarter
    more than its peak, in whole GiB; never for less than what the last run that finished had if
    that spilled. Cores stay as they were.
    """
    known = [each for each in seen[:_RUNS] if each.memory_bytes]
    if not known:
        return None
    last = known[0]
    cores = max(1, last.cpu_millis // 1000)
    if last.outcome == MEMORY:
        size = Size(cores=cores, memory_bytes=_whole(last.memory_bytes * 2))
        had = format_size(last.memory_bytes)
        return Suggestion(size=size, reason=f"the last run was out of memory with {had}")
    peaks = [each.peak_memory for each in known if each.outcome == FINISHED and each.peak_memory]
    if not peaks:
        return None
    peak = max(peaks)
    needed = _whole(peak * _ROOM[0] // _ROOM[1])
    short = [each.memory_bytes for each in known if each.outcome == MEMORY]
    if short:
        needed = max(needed, _whole(max(short) + 1))
    told = f"peak {format_size(peak)} of {format_size(last.memory_bytes)} over {len(peaks)} runs"
    spilled = max((each.spill_bytes or 0 for each in known), default=0)
    if spilled:
        needed = max(needed, last.memory_bytes)
        told += f", {format_size(spilled)} spilled"
    return Suggestion(size=Size(cores=cores, memory_bytes=needed), reason=told)


def _whole(size: int) -> int:
    return max(-(-size // _GIB) * _GIB, _LEAST)
