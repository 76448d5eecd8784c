"""Several places for runs behind one launcher: each run lives in the one that its name tells.

There is nothing to remember and nothing to look up: the choice is made by whoever names the run,
and is on record as that name before the launch. A fleet of one place is of no use.

A member that does not answer takes nothing new (``open_of``), and what it was asked to start goes
elsewhere. What is known of the runs that it has stays as each launcher tells it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from jobs.launchers.api import (
    Asked,
    Capacity,
    Launcher,
    LaunchError,
    LaunchRefusedError,
    LogPart,
    LogStream,
    RunSpec,
    RunState,
    RunStatus,
)
from jobs.lifecycle.runs import DEFAULT_CLUSTER, cluster_of
from storage.base.ids import RunId

log = logging.getLogger(__name__)


class ClusterUnknownError(LaunchError):
    """The settings name no cluster of that name any more."""

    code = "cluster_unknown"


@dataclass(slots=True)
class _Seen:
    """What is known of a member without asking it."""

    answers: bool = True
    capacity: Capacity | None = None


class Fleet:
    """``members`` by the names of their clusters, one of which is ``DEFAULT_CLUSTER``.

    ``place`` None: what they have is this replica's alone.
    """

    def __init__(self, members: Mapping[str, Launcher]) -> None:
        if DEFAULT_CLUSTER not in members:
            raise ValueError("a fleet has a default cluster")
        self.place: str | None = members[DEFAULT_CLUSTER].place
        self._members = dict(members)
        self._lock = threading.Lock()  # guards _seen
        self._seen = {name: _Seen() for name in members}
        self._asking = ThreadPoolExecutor(len(members), thread_name_prefix="fleet")
        self._renewing = ThreadPoolExecutor(len(members), thread_name_prefix="renewing")

    @property
    def clusters(self) -> tuple[str, ...]:
        """The names of all members, the default one first."""
        others = sorted(self._members.keys() - {DEFAULT_CLUSTER})
        return (DEFAULT_CLUSTER, *others)

    def look(self) -> None:
        """Ask each member whether it is there, and how much it gives; none waits for another."""
        list(self._asking.map(self._ask, self.clusters))

    def reaches(self, cluster: str) -> bool:
        """Whether it answered when it was asked last."""
        with self._lock:
            return cluster in self._seen and self._seen[cluster].answers

    def capacity_of(self, cluster: str) -> Capacity | None:
        """What it gave when it was asked last; None: it never was."""
        with self._lock:
            return self._seen[cluster].capacity

    def directory(self, run_id: RunId) -> Path:
        return self._member(run_id).directory(run_id)

    def prepare(self, run_id: RunId) -> Path:
        return self._member(run_id).prepare(run_id)

    def launch(self, spec: RunSpec) -> RunStatus:
        try:
            return self._member(spec.run_id).launch(spec)
        except LaunchRefusedError as error:
            if error.problem.code == "cluster_unavailable":
                self._note(cluster_of(spec.run_id), answers=False)
            raise

    def adopt(self, run_id: RunId) -> RunStatus:
        member = self._members.get(cluster_of(run_id))
        return _gone(run_id) if member is None else member.adopt(run_id)

    def status(self, run_id: RunId) -> RunStatus:
        member = self._members.get(cluster_of(run_id))
        return _gone(run_id) if member is None else member.status(run_id)

    def stop(self, run_id: RunId, *, grace: timedelta, reason: str = "stopped") -> RunStatus:
        member = self._members.get(cluster_of(run_id))
        if member is None:
            return _gone(run_id)
        return member.stop(run_id, grace=grace, reason=reason)

    def moment(self) -> float:
        return self._members[DEFAULT_CLUSTER].moment()

    def renew(self, run_ids: Iterable[RunId], *, at: float) -> None:
        theirs: dict[str, list[RunId]] = {}
        for run_id in run_ids:
            theirs.setdefault(cluster_of(run_id), []).append(run_id)
        known = [name for name in theirs if name in self._members]
        # Side by side: one that is silent must not make the leases of the others late.
        list(self._renewing.map(lambda each: self._members[each].renew(theirs[each], at=at), known))

    def address(self, run_id: RunId, port: int) -> str | None:
        return self._member(run_id).address(run_id, port)

    def logs(
        self, run_id: RunId, *, stream: LogStream = LogStream.STDOUT, offset: int = 0
    ) -> LogPart:
        member = self._members.get(cluster_of(run_id))
        if member is None:
            return LogPart(offset=offset, data=b"")
        return member.logs(run_id, stream=stream, offset=offset)

    def running(self) -> Iterator[RunId]:
        for name in filter(self.reaches, self.clusters):
            yield from self._members[name].running()

    def known(self) -> Iterator[RunId]:
        """Of those that answer; one that never did has nobody waiting for its first word."""
        for name in filter(self.reaches, self.clusters):
            yield from self._members[name].known()

    def forget(self, run_id: RunId) -> None:
        if cluster_of(run_id) in self._members:
            self._members[cluster_of(run_id)].forget(run_id)

    def capacity(self) -> Capacity:
        """Of the largest member, since no run is in two."""
        found = [self._members[name].capacity() for name in self.clusters if self.reaches(name)]
        found = found or [self._members[DEFAULT_CLUSTER].capacity()]
        return max(found, key=lambda each: (each.memory_bytes, each.cpu_millis))

    def answers(self) -> bool:
        return any(member.answers() for member in self._members.values())

    def requests(self) -> Mapping[Asked, int]:
        """Of all members together."""
        return sum((Counter(each) for each in self.requests_of().values()), Counter())

    def requests_of(self) -> Mapping[str, Mapping[Asked, int]]:
        """Of each by its name."""
        return {name: self._members[name].requests() for name in self.clusters}

    def close(self) -> None:
        list(self._asking.map(lambda member: member.close(), self._members.values()))
        self._asking.shutdown()
        self._renewing.shutdown()

    def _member(self, run_id: RunId) -> Launcher:
        name = cluster_of(run_id)
        if name not in self._members:
            raise ClusterUnknownError(
                f"there is no cluster {name!r} any more",
                hint="name it in the settings again, or let its runs end first",
                cluster=name,
            )
        return self._members[name]

    def _ask(self, name: str) -> None:
        member = self._members[name]
        answers = member.answers()
        if not answers:
            self._note(name, answers=False)
            return
        self._note(name, answers=True, capacity=member.capacity())

    def _note(self, name: str, *, answers: bool, capacity: Capacity | None = None) -> None:
        with self._lock:
            seen = self._seen[name]
            before, seen.answers = seen.answers, answers
            seen.capacity = capacity or seen.capacity
        if before and not answers:
            log.warning("a cluster does not answer", extra={"cluster": name})
        elif answers and not before:
            log.info("a cluster answers again", extra={"cluster": name})


def _gone(run_id: RunId) -> RunStatus:
    """Of a cluster that is named no more nobody renews a lease."""
    return RunStatus(run_id=run_id, state=RunState.GONE)
