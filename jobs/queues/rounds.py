"""One look at those that wait, from rows to the choice; and which of them the next look is at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jobs.execution.lanes import PIPELINES, Lane
from jobs.lifecycle.spec import JobKind
from jobs.queues.demand import Waiting
from jobs.queues.heads import MOST, START, Line, heads, line_of
from jobs.queues.ledger import Ledger
from jobs.queues.policy import choose
from storage.meta.database import Tx

_EACH = (2, 64)  # of a line that are looked at: the fewer, the more lines there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Who was ``seen`` to wait, by lines, and who of them may ``start``, in order."""

    seen: tuple[Waiting, ...] = ()
    start: tuple[Waiting, ...] = ()
    wants_memory: bool = False  #: see ``Choice``


@dataclass(slots=True, kw_only=True)
class Rounds:
    """Looks of one replica. All lines are looked at; what is too many for one look, by turns."""

    ledger: Ledger
    _each: int = field(default=_EACH[1])
    _after: Line = field(default=START)

    def look(self, tx: Tx, *, seats: Mapping[Lane, int], now: datetime, most: int) -> Look:
        """Who would start now, ``most`` of them. The same again until ``turn``."""
        found = heads(tx, now=now, each=self._each, after=self._after)
        if not found:
            return Look()
        asked = {job.id: job for job in found}
        full = {depth for depth, lane in enumerate(PIPELINES) if not seats.get(lane)}
        if any(job.kind is JobKind.PIPELINE and job.depth in full for job in found):
            # A run without a seat is in nobody's way, but for those that this look has no room for.
            others = heads(tx, now=now, each=self._each, after=self._after, but_depths=full)
            asked |= {job.id: job for job in others}
        room = self.ledger.room(tx, {job.place for job in asked.values()}, seats=seats)
        known = {job_id: job for job_id, job in asked.items() if job.place in room.queues}
        choice = choose(tuple(known.values()), room=room, now=now, most=most, told=False)
        return Look(
            seen=found,
            start=tuple(known[job_id] for job_id in choice.start),
            wants_memory=choice.wants_memory,
        )

    def turn(self, seen: Look) -> None:
        """Let the next look be at others, if there are too many for one."""
        least, most = _EACH
        lines = max(len({line_of(job) for job in seen.seen}), 1)
        self._each = min(max(MOST // (lines * 2), least), most)
        self._after = line_of(seen.seen[-1]) if lines * least * 2 > MOST else START
