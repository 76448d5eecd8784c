"""One look at those that wait, from rows to the choice; and which of them the next look is at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jobs.execution.workers import Lane
from jobs.queues.demand import Choice, Place
from jobs.queues.heads import MOST, START, Line, heads, line_of
from jobs.queues.ledger import Ledger
from jobs.queues.policy import choose
from storage.base.ids import JobId
from storage.meta.database import Tx

_EACH = (2, 64)  # of a line that are looked at: the fewer, the more lines there are


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of those that wait: nobody, if ``lines`` is 0."""

    choice: Choice
    places: Mapping[JobId, Place]
    lines: int = 0
    last: Line = START


@dataclass(slots=True, kw_only=True)
class Rounds:
    """Looks of one replica. All lines are looked at; what is too many for one look, by turns."""

    ledger: Ledger
    _each: int = field(default=_EACH[1])
    _after: Line = field(default=START)

    def look(self, tx: Tx, *, seats: Mapping[Lane, int], now: datetime) -> Look:
        """Who would start now. The same again until ``turn``."""
        found = heads(tx, now=now, each=self._each, after=self._after)
        if not found:
            return Look(choice=Choice(start=(), waits={}), places={})
        room = self.ledger.room(tx, {job.place for job in found}, seats=seats)
        known = tuple(job for job in found if job.place in room.queues)
        return Look(
            choice=choose(known, room=room, now=now),
            places={job.id: job.place for job in known},
            lines=len({line_of(job) for job in found}),
            last=line_of(found[-1]),
        )

    def turn(self, seen: Look) -> None:
        """Let the next look be at others, if there are too many for one."""
        least, most = _EACH
        lines = max(seen.lines, 1)
        self._each = min(max(MOST // (lines * 2), least), most)
        self._after = seen.last if lines * least * 2 > MOST else START
