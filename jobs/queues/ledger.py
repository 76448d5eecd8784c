"""What is reserved where: the room that starts are measured against, as rows say.

A place is what one launcher can give, under the name of the replica that starts jobs there, or
under its own name where all replicas start jobs there, as in a cluster. What runs holds its part
from the claim to the end of the job, and engines hold theirs while they live. A place that is a
fleet has several clusters, each with what it gives and who has drained it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, case, func, or_, select, text

from jobs.clusters import Clusters
from jobs.execution.lanes import Lane
from jobs.launchers.api import Capacity
from jobs.launchers.fleet import Fleet
from jobs.lifecycle.runs import DEFAULT_CLUSTER, cluster_of
from jobs.lifecycle.spec import EngineName
from jobs.queues.demand import ONLY, ClusterRoom, Place, Room, Running, Server
from jobs.queues.store import some
from jobs.store.rows import RUNS, capacities, jobs
from jobs.store.run_rows import runs
from storage.base.ids import ProjectId, RunId, UserId
from storage.meta.database import Database, Tx
from storage.meta.inserts import insert_into

FRESH = timedelta(seconds=60)  #: a place that was silent for longer gives nothing


@dataclass(slots=True, kw_only=True)
class Ledger:
    """The books of one replica's place. Thread-safe."""

    database: Database
    replica: str
    engine_cu: Mapping[EngineName, int]
    engine_memory: Mapping[EngineName, int] = field(default_factory=dict)
    measure: Callable[[], Capacity] | None = None  #: None: nothing bounds what runs here
    shared: str | None = None  #: the place of all replicas; None: each has its own
    clusters: Clusters | None = None  #: of the place; None: they are not told apart
    _capacity: Capacity | None = field(default=None)
    _measured: threading.Lock = field(default_factory=threading.Lock)  # guards _capacity

    @property
    def place(self) -> str:
        """Where this replica starts jobs."""
        return self.shared or self.replica

    def capacity(self) -> Capacity | None:
        """What this place gives, as it was measured last."""
        with self._measured:
            if self._capacity is None and self.measure is not None:
                self._capacity = self.measure()
            return self._capacity

    def report(self, at: datetime) -> None:
        """Measure this place again and tell the others; places that are long silent go."""
        if self.measure is None:
            return
        measured = self.measure()
        with self._measured:
            self._capacity = measured
        found = {self.place: measured}
        if self.fleet is not None:
            found |= {f"{self.place}/{name}": each for name, each in _given(self.fleet)}
        with self.database.transaction() as tx:
            for place, capacity in found.items():
                values = {
                    "cpu_millis": capacity.cpu_millis,
                    "memory_bytes": capacity.memory_bytes,
                    "seen_at": at,
                }
                tx.execute(
                    insert_into(tx, capacities)
                    .values(place=place, **values)
                    .on_conflict_do_update(index_elements=[capacities.c.place], set_=values)
                )
            tx.execute(capacities.delete().where(capacities.c.seen_at < at - 10 * FRESH))

    def lock(self, tx: Tx) -> None:
        """Nobody else reserves anything of this place until the transaction ends.

        Always taken after the turns of queues, so that two transactions cannot wait for each other.
        """
        self.database.lock(tx, f"place:{self.place}")

    def room(
        self,
        tx: Tx,
        waiting: Collection[Place],
        *,
        seats: Mapping[Lane, int] | None = None,
        capacity: Capacity | None = None,
        place: str | None = None,
    ) -> Room:
        """All that runs, with the limits of its queues and of ``waiting``.

        ``place`` and ``capacity`` are this replica's own by default.
        """
        here = None if self.shared else place or self.replica
        only = ONLY if self.fleet is None else DEFAULT_CLUSTER
        running = tuple(_running(row, here, only) for row in tx.execute(_RUNNING))
        places = {*waiting, *(each.place for each in running)}
        engines = self._engines(tx, here, running)
        clusters = self._clusters(tx, engines)
        return Room(
            queues=some(tx, places),
            running=running,
            capacity=_total(clusters) or capacity or self.capacity(),
            seats=seats,
            servers=_servers(engines, clusters),
            engine_cu=self.engine_cu,
            engine_memory=self.engine_memory,
            clusters=clusters,
        )

    @property
    def fleet(self) -> Fleet | None:
        """None where there is one cluster, or machine."""
        return None if self.clusters is None else self.clusters.fleet

    def best_place(self, tx: Tx, now: datetime) -> tuple[str, Capacity] | None:
        """The largest place that is alive, for who asks a replica that starts nothing."""
        row = tx.execute(_LARGEST, {"since": now - FRESH}).first()
        if row is None:
            return None
        return row.place, Capacity(cpu_millis=row.cpu_millis, memory_bytes=row.memory_bytes)

    def _engines(
        self, tx: Tx, here: str | None, running: Collection[Running]
    ) -> Mapping[tuple[Server, str], int]:
        """Engines that live here, and those that are about to for statements just claimed.

        Bytes, by where.
        """
        found: dict[tuple[Server, str], int] = {}
        for row in tx.execute(_ENGINES):
            if here is not None and row.owner != here:
                continue
            engine = EngineName(row.engine)
            server = Server(Place(row.project_id, row.queue), engine)
            memory = row.memory_bytes or self.engine_memory.get(engine, 0)
            key = server, ONLY if self.fleet is None else cluster_of(RunId(row.id))
            found[key] = found.get(key, 0) + memory
        known = {server for server, _ in found}
        for each in running:
            if each.here and each.engine is not None:
                server = Server(each.place, each.engine)
                if server not in known:
                    found[server, each.cluster] = self.engine_memory.get(each.engine, 0)
        return found

    def _clusters(
        self, tx: Tx, engines: Mapping[tuple[Server, str], int]
    ) -> Mapping[str, ClusterRoom]:
        if self.clusters is None or self.clusters.fleet is None:
            return {}
        closed = self.clusters.closed(tx)
        held: dict[str, int] = {}
        for (_, cluster), memory in engines.items():
            held[cluster] = held.get(cluster, 0) + memory
        return {
            name: ClusterRoom(
                capacity=capacity, engines=held.get(name, 0), closed=closed.get(name, "")
            )
            for name, capacity in _given(self.clusters.fleet)
        }


def _given(fleet: Fleet) -> tuple[tuple[str, Capacity], ...]:
    """One that was never heard of gives nothing."""
    nothing = Capacity(cpu_millis=0, memory_bytes=0)
    return tuple((name, fleet.capacity_of(name) or nothing) for name in fleet.clusters)


def _servers(
    engines: Mapping[tuple[Server, str], int], clusters: Mapping[str, ClusterRoom]
) -> Mapping[Server, int]:
    """Those that take statements: where a cluster is closed, its engines do not."""
    found: dict[Server, int] = {}
    for (server, cluster), memory in engines.items():
        if cluster not in clusters or not clusters[cluster].closed:
            found[server] = found.get(server, 0) + memory
    return found


def _total(clusters: Mapping[str, ClusterRoom]) -> Capacity | None:
    """Of those that are open, or None."""
    found = [each.capacity for each in clusters.values() if not each.closed]
    if not found:
        return None
    return Capacity(
        cpu_millis=sum(each.cpu_millis for each in found),
        memory_bytes=sum(each.memory_bytes for each in found),
    )


def _running(row: Row[Any], here: str | None, only: str) -> Running:
    return Running(
        place=Place(ProjectId(row.project_id), row.queue),
        user_id=UserId(row.user_id),
        engine=None if row.engine is None else EngineName(row.engine),
        count=row.many,
        cpu_millis=row.cpu_millis,
        memory_bytes=row.memory_bytes,
        ends_by=row.ends_by,
        here=here is None or row.owner == here,
        cluster=only if only == ONLY else row.cluster or only,
    )


_ALIKE = (
    jobs.c.project_id, jobs.c.queue, jobs.c.user_id, jobs.c.engine, jobs.c.cpu_millis,
    jobs.c.memory_bytes, jobs.c.owner, jobs.c.cluster,
)  # fmt: skip
#: Sized jobs one by one, since each comes back at its own time; statements by the group.
_ONE = case((or_(jobs.c.cpu_millis > 0, jobs.c.memory_bytes > 0), jobs.c.id))
_RUNNING = (
    select(
        *_ALIKE,
        func.max(jobs.c.deadline, type_=jobs.c.deadline.type).label("ends_by"),
        func.count().label("many"),
    )
    .where(text(RUNS))
    .group_by(*_ALIKE, _ONE)
)
_ENGINES = select(
    runs.c.id, runs.c.project_id, runs.c.queue, runs.c.engine, runs.c.memory_bytes, runs.c.owner
).where(runs.c.ended_at.is_(None), runs.c.job_id.is_(None))
_LARGEST = (
    select(capacities)
    .where(capacities.c.seen_at >= bindparam("since"))
    .order_by(capacities.c.memory_bytes.desc(), capacities.c.place)
    .limit(1)
)
