"""In which order those that wait are looked at: who has least goes first. Pure.

Between projects the one with the smallest share comes next, then its queue with the smallest
share, then the highest class of that queue, then the user with the smallest share, then the
earliest turn. A share is the dominant one (dominant resource fairness): the largest part of the
machine's processors, of its memory or of a bound number of jobs that is held, by weight. It grows
with each job that is started, so one round deals out what is free evenly.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from datetime import datetime

from jobs.queues.demand import STEP, Place, Room, Waiting
from storage.base.ids import ProjectId, UserId

_SCALE = 10**9
_JOBS = 64  # so many jobs that hold nothing count as a whole machine
_CORE, _GIB = 1000, 2**30


class Shares:
    """What projects, queues and users hold, as jobs are started."""

    def __init__(self, room: Room) -> None:
        capacity = room.capacity
        self._room = room
        self._cores = max(capacity.cpu_millis if capacity else _CORE, 1)
        self._memory = max(capacity.memory_bytes if capacity else 4 * _GIB, 1)
        self._held: dict[Hashable, list[int]] = {}
        self._weights: dict[ProjectId, int] = {}
        for place, queue in room.queues.items():
            known = self._weights.get(place.project_id, 1)
            self._weights[place.project_id] = max(known, queue.weight)
        for running in room.running:
            sizes = running.cpu_millis, running.memory_bytes
            self._add(running.place, running.user_id, *sizes, running.count)
        for server, memory in room.servers.items():
            self._hold(server.place.project_id, 0, memory, 0)

    def start(self, job: Waiting) -> None:
        """The job holds its part from now on."""
        self._add(job.place, job.user_id, job.cpu_millis, job.memory_bytes, 1)

    def of_project(self, project_id: ProjectId) -> int:
        """By weight, of ``10**9``."""
        return self._share(project_id) // self._weights.get(project_id, 1)

    def of_queue(self, place: Place) -> int:
        """By weight, of ``10**9``."""
        return self._share(place) // self._room.queues[place].weight

    def of_user(self, place: Place, user_id: UserId) -> int:
        """Inside the queue, by weight, of ``10**9``."""
        weight = self._room.queues[place].user_weights.get(user_id, 1)
        return self._share((place, user_id)) // weight

    def _share(self, holder: Hashable) -> int:
        cpu, memory, count = self._held.get(holder, (0, 0, 0))
        return max(
            cpu * _SCALE // self._cores, memory * _SCALE // self._memory, count * _SCALE // _JOBS
        )

    def _add(self, place: Place, user_id: UserId, cpu: int, memory: int, count: int) -> None:
        for holder in (place.project_id, place, (place, user_id)):
            self._hold(holder, cpu * count, memory * count, count)

    def _hold(self, holder: Hashable, *amounts: int) -> None:
        held = self._held.setdefault(holder, [0, 0, 0])
        for index, amount in enumerate(amounts):
            held[index] += amount


def class_of(job: Waiting, now: datetime) -> int:
    """Grows by one with each step of priority, and with each ``STEP`` of waiting."""
    return (now - job.turn) // STEP


def in_turn(waiting: Sequence[Waiting], shares: Shares, now: datetime) -> Iterator[Waiting]:
    """Each of them, in the order of the shares then: ``shares`` is told of starts between two."""
    projects: dict[ProjectId, dict[Place, list[Waiting]]] = {}
    for job in sorted(waiting, key=lambda job: (job.turn, job.id)):
        projects.setdefault(job.place.project_id, {}).setdefault(job.place, []).append(job)
    heap = [
        (shares.of_project(project_id), min(found[0].turn for found in queues.values()), project_id,
         _Project(queues, shares, now))
        for project_id, queues in projects.items()
    ]  # fmt: skip
    heapq.heapify(heap)
    while heap:
        _, first, project_id, project = heap[0]
        yield project.next()
        if project.empty:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (shares.of_project(project_id), first, project_id, project))


class _Project:
    """The queues of a project, by share."""

    def __init__(self, queues: dict[Place, list[Waiting]], shares: Shares, now: datetime) -> None:
        self._shares = shares
        self._heap = [
            (shares.of_queue(place), found[0].turn, place, _Queue(found, shares, now))
            for place, found in queues.items()
        ]
        heapq.heapify(self._heap)
        self._last: _Queue | None = None

    @property
    def empty(self) -> bool:
        """Whether ``next`` has given all."""
        return not self._heap or (len(self._heap) == 1 and self._heap[0][3].empty)

    def next(self) -> Waiting:
        """The share of the queue that was taken from last has changed since, if any."""
        if self._last is not None:
            _, first, place, queue = self._heap[0]
            if queue.empty:
                heapq.heappop(self._heap)
            else:
                share = self._shares.of_queue(place)
                heapq.heapreplace(self._heap, (share, first, place, queue))
        self._last = self._heap[0][3]
        return self._last.next()


class _Queue:
    """The jobs of a queue: by class, then by the share of their user, then by turn."""

    def __init__(self, jobs: Sequence[Waiting], shares: Shares, now: datetime) -> None:
        self._shares = shares
        self._left = len(jobs)
        self._classes: deque[dict[UserId, deque[Waiting]]] = deque()
        last: int | None = None
        for job in jobs:  # by turn, so by class
            rank = class_of(job, now)
            if rank != last:
                self._classes.append({})
                last = rank
            self._classes[-1].setdefault(job.user_id, deque()).append(job)
        self._heap: list[tuple[int, datetime, str, UserId, deque[Waiting]]] = []

    @property
    def empty(self) -> bool:
        """Whether ``next`` has given all."""
        return not self._left

    def next(self) -> Waiting:
        """The next one; a user's share is looked at again after each job of that user."""
        self._left -= 1
        while True:
            if not self._heap:
                for user_id, jobs in self._classes.popleft().items():
                    self._push(user_id, jobs)
            share, _, _, user_id, jobs = heapq.heappop(self._heap)
            now = self._shares.of_user(jobs[0].place, user_id)
            if now != share:  # a job of the user was started since
                self._push(user_id, jobs)
                continue
            job = jobs.popleft()
            if jobs:
                self._push(user_id, jobs)
            return job

    def _push(self, user_id: UserId, jobs: deque[Waiting]) -> None:
        share = self._shares.of_user(jobs[0].place, user_id)
        heapq.heappush(self._heap, (share, jobs[0].turn, jobs[0].id, user_id, jobs))
