"""Starting some of those that wait, in the caller's transaction.

A round chooses without any lock among all that wait (``rounds``). What it chose is decided once
more here with the turns of those queues and the room of this place taken, so that no limit is
passed whichever replicas choose at once. All rows are read by one statement and written by two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from jobs.execution.lanes import Lane
from jobs.lifecycle.events import Claimed
from jobs.lifecycle.job import Job
from jobs.queues.admission import take_turns
from jobs.queues.demand import Waiting, waiting_of
from jobs.queues.ledger import Ledger
from jobs.queues.policy import choose
from jobs.store.jobs import Queued, apply_all, load_queued
from storage.meta.database import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A job that was claimed, and what was measured of it before: see ``JobView``."""

    job: Job
    timings: Mapping[str, float]
    usage: Mapping[str, int] | None


def start_waiting(
    ledger: Ledger,
    tx: Tx,
    wanted: Sequence[Waiting],
    *,
    now: datetime,
    claim: Callable[[Job, str | None], Claimed],
    pay: Callable[[Tx, Job], Job | None],
    seats: Mapping[Lane, int] | None = None,
) -> tuple[Started, ...]:
    """Claim those of ``wanted`` that wait still and fit into the room that there is.

    ``claim`` gets the cluster too, where there are several. ``pay`` gives one that waits for money
    as it is paid for, or None: it goes on waiting. The caller runs the claimed ones after the
    commit.
    """
    take_turns(ledger.database, tx, {job.place for job in wanted})
    ledger.lock(tx)
    found = {queued.job.id: queued for queued in load_queued(tx, [job.id for job in wanted])}
    room = ledger.room(tx, {job.place for job in wanted}, seats=seats)
    asked = [waiting_of(queued.job) for queued in found.values()]
    known = [job for job in asked if job.place in room.queues]
    choice = choose(known, room=room, now=now, told=False)
    chosen = [found[job_id] for job_id in choice.start]
    paid: list[tuple[Queued, Job]] = []
    for queued in chosen:
        job = pay(tx, queued.job) if queued.job.waits_for_money else queued.job
        if job is not None:
            paid.append((queued, job))
    claimed = apply_all(tx, [(job, claim(job, choice.clusters.get(job.id))) for _, job in paid])
    return tuple(
        Started(job=job, timings=queued.timings, usage=queued.usage)
        for job, (queued, _) in zip(claimed, paid, strict=True)
    )
