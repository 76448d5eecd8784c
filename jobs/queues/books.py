"""What is used of each limit, when it comes back, and what is kept for those who were first. Pure.

A limit is a *dimension* with an amount: seats of a lane, running jobs of a queue or of a user in
it, compute units of a queue, processors and memory of the machine. A job needs an amount of each.
Where there are several clusters, each has processors and memory of its own.

The first job that a machine, or a queue, has no room for gets a reservation: it starts at the
latest when those that run have passed their hard ends. Whoever comes after it in the order may
start before it only by ending before that moment, or in what the reservation leaves over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.queues.definitions import QueueDef
from jobs.queues.demand import ONLY, Room, Running, Server, Waiting

Dimension = tuple[Any, ...]
Amounts = Mapping[Dimension, int]

MILLI = 1000


def cpu(cluster: str = ONLY) -> Dimension:
    """Thousandths of cores of this machine, or of a cluster."""
    return ("cpu", cluster)


def memory(cluster: str = ONLY) -> Dimension:
    """Bytes of it."""
    return ("memory", cluster)


def engines(cluster: str = ONLY) -> Dimension:
    """Bytes of it that batches and tasks leave to engines, which share that among themselves."""
    return ("engines", cluster)


@dataclass(slots=True, kw_only=True)
class Reservation:
    """``at`` is when its job starts at the latest; None: nobody can tell."""

    at: datetime | None
    spare: dict[Dimension, int]  #: what it leaves over at that moment

    def allows(self, needs: Amounts, ends_by: datetime | None) -> bool:
        """Whether a job of these needs can start now without making the holder later."""
        if self._over_before(ends_by):
            return True
        return all(need <= self.spare[name] for name, need in needs.items() if name in self.spare)

    def take(self, needs: Amounts, ends_by: datetime | None) -> None:
        """Such a job was started."""
        if not self._over_before(ends_by):
            for name in needs.keys() & self.spare.keys():
                self.spare[name] -= needs[name]

    def _over_before(self, ends_by: datetime | None) -> bool:
        return self.at is not None and ends_by is not None and ends_by <= self.at


class Books:
    """The amounts of one choice, as jobs are started in it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._limits: dict[Dimension, int] = {}
        self._used: dict[Dimension, int] = {}
        self._releases: list[tuple[datetime | None, Amounts]] = []
        self._serving: dict[Server, datetime | None] = {}  #: engines in use, anywhere
        self._servers = set(room.servers)  #: engines that live here
        self._open_limits()
        for running in room.running:
            self._enter_running(running)
        for server, ends_by in self._serving.items():
            self._enter({("cu", server.place): self._engine_millis(server)}, ends_by)
        held = {name: each.engines for name, each in room.clusters.items()}
        for name, size in (held or {ONLY: sum(room.servers.values())}).items():
            self._enter({memory(name): size}, None)

    def needs(self, job: Waiting, cluster: str = ONLY) -> dict[Dimension, int]:
        """What the job would take of each limit that there is, if it starts in that cluster."""
        needs: dict[Dimension, int] = {}
        queue = self._room.queues[job.place]
        if job.computes:
            needs["running", job.place] = 1
            needs["user", job.place, job.user_id] = 1
        if job.engine is not None:
            server = Server(job.place, job.engine)
            if server not in self._serving:
                needs["cu", job.place] = self._engine_need(server)
            if server not in self._servers:
                needs[engines(cluster)] = self._room.engine_memory.get(job.engine, 0)
        if job.sized:
            needs["cu", job.place] = needs.get(("cu", job.place), 0) + job.cpu_millis
            needs[cpu(cluster)] = job.cpu_millis
            needs[memory(cluster)] = job.memory_bytes
        needs["seats", job.lane] = 1
        self._limit_user(queue, job)
        return {name: need for name, need in needs.items() if need and name in self._limits}

    def settles(self, job: Waiting) -> bool:
        """Whether it takes something of a cluster, so that one has to be chosen for it."""
        if job.sized:
            return True
        return job.engine is not None and Server(job.place, job.engine) not in self._servers

    def holds(self, job: Waiting, needs: Amounts, cluster: str = ONLY) -> Amounts:
        """``needs``, and what its engine holds that lives for it, or lives on for it."""
        if job.engine is None:
            return needs
        held = dict(needs)
        if engines(cluster) in needs:
            held[memory(cluster)] = needs[engines(cluster)]
        name = ("cu", job.place)
        if name in self._limits and name not in needs:
            held[name] = self._engine_need(Server(job.place, job.engine))
        return held

    def lacking(self, needs: Amounts) -> list[Dimension]:
        """The limits that would be passed."""
        return [name for name, need in needs.items() if need > self.left(name)]

    def left(self, name: Dimension) -> int:
        """What is free of a limit."""
        return self._limits[name] - self._used.get(name, 0)

    def never(self, needs: Amounts) -> list[Dimension]:
        """The limits that the needs pass even when nothing runs."""
        return [
            name for name, need in needs.items() if name[0] != "seats" and need > self._limits[name]
        ]

    def start(self, job: Waiting, needs: Amounts, cluster: str = ONLY) -> None:
        """The job runs from now on. An engine that it starts stays when it has ended."""
        taken = dict(needs)
        engine = taken.pop(engines(cluster), 0)
        if job.engine is not None:
            server = Server(job.place, job.engine)
            self._serving.setdefault(server, job.ends_by)
            self._servers.add(server)
            self._enter({memory(cluster): engine}, None)
        elif memory(cluster) in taken:
            taken[engines(cluster)] = taken[memory(cluster)]
        self._enter(taken, job.ends_by)

    def reserve(self, needs: Amounts) -> Reservation:
        """Keep these for the job that is first to need them."""
        free = {name: self.left(name) for name in needs}
        at: datetime | None = None
        for ends_by, amounts in sorted(
            ((end, amounts) for end, amounts in self._releases if end is not None),
            key=lambda release: release[0],
        ):
            if at is not None and ends_by > at:
                break
            for name in amounts.keys() & free.keys():
                free[name] += amounts[name]
            if at is None and all(free[name] >= need for name, need in needs.items()):
                at = ends_by
        return Reservation(
            at=at, spare={name: max(free[name] - need, 0) for name, need in needs.items()}
        )

    def _open_limits(self) -> None:
        room = self._room
        for place, queue in room.queues.items():
            self._limits["running", place] = queue.max_running
            if queue.max_cu is not None:
                self._limits["cu", place] = queue.max_cu * MILLI
        places = {name: each.capacity for name, each in room.clusters.items()}
        if not places and room.capacity is not None:
            places = {ONLY: room.capacity}
        for name, capacity in places.items():
            self._limits[cpu(name)] = capacity.cpu_millis
            self._limits[memory(name)] = self._limits[engines(name)] = capacity.memory_bytes
        for lane, seats in (room.seats or {}).items():
            self._limits["seats", lane] = seats

    def _limit_user(self, queue: QueueDef, job: Waiting) -> None:
        if queue.max_running_per_user is not None:
            self._limits["user", job.place, job.user_id] = queue.max_running_per_user

    def _enter_running(self, running: Running) -> None:
        place, count = running.place, running.count
        amounts: dict[Dimension, int] = {}
        if running.computes:
            amounts["running", place] = amounts["user", place, running.user_id] = count
        amounts["cu", place] = running.cpu_millis * count
        if running.here:
            where = running.cluster
            amounts[cpu(where)] = running.cpu_millis * count
            amounts[memory(where)] = amounts[engines(where)] = running.memory_bytes * count
        self._enter(amounts, running.ends_by)
        if running.engine is not None:
            server = Server(place, running.engine)
            self._serving[server] = _later(self._serving.get(server, running.ends_by), running)

    def _enter(self, amounts: Amounts, ends_by: datetime | None) -> None:
        for name, amount in amounts.items():
            self._used[name] = self._used.get(name, 0) + amount
        self._releases.append((ends_by, amounts))

    def _engine_millis(self, server: Server) -> int:
        return self._room.engine_cu.get(server.engine, 1) * MILLI

    def _engine_need(self, server: Server) -> int:
        """An engine above the limit counts as all of it: alone in its queue it always fits."""
        needed = self._engine_millis(server)
        return min(needed, self._limits.get(("cu", server.place), needed))


def _later(first: datetime | None, running: Running) -> datetime | None:
    second = running.ends_by
    return None if first is None or second is None else max(first, second)
