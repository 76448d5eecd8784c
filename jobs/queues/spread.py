"""In which of several clusters a job starts: by the weights that its queue gives them. Pure.

What a queue runs at one moment is spread as its weights say: next comes the cluster in which it
holds least, by weight. Where it holds the same in several, as nothing in all of them, a weighted
draw decides (rendezvous hashing by the job's name, so that it is the same draw whoever makes it),
so that jobs that come one after the other are spread like that too.
"""

from __future__ import annotations

from jobs.clusters import drawn
from jobs.lifecycle.runs import cu_rate
from jobs.queues.demand import Place, Room, Waiting

_SCALE = 10**6


class Spread:
    """What queues hold in each cluster, as jobs are started."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._held: dict[tuple[Place, str], int] = {}
        if room.clusters:
            for each in room.running:
                size = cu_rate(each.cpu_millis, each.memory_bytes)
                self._add(each.place, each.cluster, size * each.count)

    def order(self, job: Waiting) -> tuple[str, ...]:
        """Where it may start, the best first; empty if everything is closed to it."""
        pods = self._room.queues[job.place].pods
        open_ones = [
            (name, pods.weight_of(name))
            for name, each in self._room.clusters.items()
            if not each.closed and pods.weight_of(name)
        ]

        def rank(each: tuple[str, int]) -> tuple[bool, int, float, str]:
            name, weight = each
            held = self._held.get((job.place, name), 0) * _SCALE // weight
            return self._crowded(job, name), held, -drawn(job.id, name, weight), name

        return tuple(name for name, _ in sorted(open_ones, key=rank))

    def closed_to(self, job: Waiting) -> str:
        """Why nothing of it may start anywhere, for people."""
        pods = self._room.queues[job.place].pods
        mine = {name: each for name, each in self._room.clusters.items() if pods.weight_of(name)}
        if not mine:
            return f"no cluster is left of those that the queue names: {', '.join(pods.clusters)}"
        told = ", ".join(f"{name} {each.closed}" for name, each in mine.items())
        return f"no cluster of the queue takes anything now: {told}"

    def start(self, job: Waiting, cluster: str) -> None:
        """It runs there from now on."""
        self._add(job.place, cluster, cu_rate(job.cpu_millis, job.memory_bytes))

    def _crowded(self, job: Waiting, cluster: str) -> bool:
        """Whether an engine for it would have to wait there for others to go."""
        if job.engine is None:
            return False
        room = self._room.clusters[cluster]
        needed = room.engines + self._room.engine_memory.get(job.engine, 0)
        return needed > room.capacity.memory_bytes

    def _add(self, place: Place, cluster: str, size: int) -> None:
        key = (place, cluster)
        self._held[key] = self._held.get(key, 0) + size
