"""The clusters of a service, as those see them who choose among them and who run them.

Which take nothing new: those that somebody has drained, which is on record for all replicas, and
those that do not answer this one. What runs in either goes on.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import delete, select

from jobs.launchers.api import UNBOUNDED, Asked, Capacity, Launcher
from jobs.launchers.fleet import Fleet
from jobs.lifecycle.runs import DEFAULT_CLUSTER, cluster_of
from jobs.store.rows import drained_clusters
from jobs.store.run_rows import runs
from storage.base.clock import Clock
from storage.base.errors import ConflictError, NotFoundError
from storage.base.ids import RunId, UserId
from storage.meta.database import Database, Tx
from storage.meta.inserts import insert_into

DRAINED, SILENT = "is drained", "does not answer"


class ClusterMissingError(NotFoundError):
    """The settings name no such cluster."""

    code = "cluster_not_found"


class ClusterAloneError(ConflictError):
    """The service has one cluster, so that there is none to go to."""

    code = "cluster_alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Since when a cluster takes nothing new, and who said so."""

    at: datetime
    by: UserId


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """One of them: what it gives, and what of that the runs and engines there hold.

    ``capacity`` None: it has not answered yet, or does not say.
    """

    name: str
    answers: bool
    capacity: Capacity | None
    used: Capacity
    runs: int  #: of batches and tasks
    engines: int
    drain: Drain | None


@dataclass(slots=True, kw_only=True)
class Clusters:
    """Those of ``launcher``: of a fleet, or the one that there is. Thread-safe."""

    database: Database
    clock: Clock
    launcher: Launcher
    _drained: Mapping[str, Drain] = field(default_factory=dict)  # as it was a moment ago
    _reading: threading.Lock = field(default_factory=threading.Lock)  # one look after the other

    @property
    def fleet(self) -> Fleet | None:
        """None where there is one cluster only."""
        return self.launcher if isinstance(self.launcher, Fleet) else None

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, the default one first."""
        return (DEFAULT_CLUSTER,) if self.fleet is None else self.fleet.clusters

    def check(self, names: Iterable[str]) -> None:
        """Raise ``ClusterMissingError`` for one that is not there."""
        for name in names:
            if name not in self.names:
                near = difflib.get_close_matches(name, self.names, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(self.names)}"
                raise ClusterMissingError(f"there is no cluster {name!r}", hint=hint, cluster=name)

    def look(self) -> int:
        """Ask the clusters whether they are there, and the rows which are drained."""
        if self.fleet is not None:
            self.fleet.look()
            self._read()
        return 0

    def closed(self, tx: Tx) -> Mapping[str, str]:
        """Those in which nothing new starts, by the rows of this moment: why, for people."""
        return self._closed(_drained_in(tx)) if self.fleet is not None else {}

    def closed_lately(self) -> Mapping[str, str]:
        """As ``closed``, without a look at the rows: as they were at the last ``look``."""
        return self._closed(self._drained)

    def settle(self, weights: Mapping[str, int], name: RunId) -> str | None:
        """Where a new engine of a queue with these weights goes; None: all are closed to it."""
        closed = self.closed_lately()
        able = {
            each: weights.get(each, 0) if weights else 1
            for each in self.names
            if each not in closed
        }
        drawn_of = {each: drawn(name, each, weight) for each, weight in able.items() if weight}
        return max(drawn_of, key=lambda each: drawn_of[each]) if drawn_of else None

    def drain(self, name: str, *, by: UserId) -> None:
        """Start nothing new there; the first who said so is kept.

        Raises ``ClusterMissingError`` and ``ClusterAloneError``.
        """
        self.check([name])
        if self.fleet is None:
            raise ClusterAloneError(
                "there is no other cluster that could take the work",
                hint="to start nothing at all, close the queues: dli queue drain NAME --close",
            )
        values = {"name": name, "drained_at": self.clock.now(), "drained_by": by}
        with self.database.transaction() as tx:
            tx.execute(insert_into(tx, drained_clusters).values(values).on_conflict_do_nothing())
        self._read()

    def undrain(self, name: str) -> None:
        """Let it take new work again; twice is the same as once. Raises ``ClusterMissingError``."""
        self.check([name])
        with self.database.transaction() as tx:
            tx.execute(delete(drained_clusters).where(drained_clusters.c.name == name))
        self._read()

    def views(self) -> tuple[ClusterView, ...]:
        """All of them, as this replica sees them now."""
        with self.database.read() as tx:
            drained = _drained_in(tx)
            living = tx.execute(_LIVING).all()
        return tuple(
            ClusterView(
                name=name,
                answers=self._answers(name),
                capacity=self._capacity(name),
                used=Capacity(
                    cpu_millis=sum(row.cpu_millis for row in here),
                    memory_bytes=sum(row.memory_bytes for row in here),
                ),
                runs=sum(row.job_id is not None for row in here),
                engines=sum(row.job_id is None for row in here),
                drain=drained.get(name),
            )
            for name in self.names
            for here in [[row for row in living if cluster_of(RunId(row.id)) == name]]
        )

    def requests(self) -> Mapping[str, Mapping[Asked, int]]:
        """How often this replica asked the API server of each cluster since the start."""
        if self.fleet is None:
            return {DEFAULT_CLUSTER: self.launcher.requests()}
        return self.fleet.requests_of()

    def _answers(self, name: str) -> bool:
        return self.launcher.answers() if self.fleet is None else self.fleet.reaches(name)

    def _capacity(self, name: str) -> Capacity | None:
        fleet = self.fleet
        found = self.launcher.capacity() if fleet is None else fleet.capacity_of(name)
        return None if found == UNBOUNDED else found

    def _read(self) -> None:
        with self._reading, self.database.read() as tx:
            self._drained = _drained_in(tx)

    def _closed(self, drained: Mapping[str, Drain]) -> Mapping[str, str]:
        fleet = self.fleet
        if fleet is None:
            return {}
        found = {name: SILENT for name in fleet.clusters if not fleet.reaches(name)}
        return found | {name: DRAINED for name in fleet.clusters if name in drained}


def drawn(who: str, cluster: str, weight: int) -> float:
    """The cluster's number in the draw of ``who``; the largest wins, as often as the weights say.

    Weighted rendezvous hashing: Schindelhauer and Schomaker, Weighted distributed hash tables,
    SPAA 2005, the logarithmic method.
    """
    digest = hashlib.blake2b(f"{who}/{cluster}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 0.5) / 2**64
    return -weight / math.log(uniform)


def _drained_in(tx: Tx) -> Mapping[str, Drain]:
    rows = tx.execute(select(drained_clusters))
    return {row.name: Drain(at=row.drained_at, by=UserId(row.drained_by)) for row in rows}


_LIVING = select(runs.c.id, runs.c.job_id, runs.c.cpu_millis, runs.c.memory_bytes).where(
    runs.c.ended_at.is_(None)
)
