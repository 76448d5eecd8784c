"""Where engines live, where a queue has several clusters: where to start, and when to leave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.clusters import DRAINED, Clusters
from jobs.engines.api import Terms
from jobs.engines.errors import EngineStartError
from jobs.engines.members import Key, Member
from jobs.lifecycle.runs import cluster_of, run_in
from storage.base.ids import RunId, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """``clusters`` are those of the launcher, ``terms`` are what a queue says of pods."""

    clusters: Clusters | None
    terms: Terms

    @property
    def several(self) -> bool:
        """Whether there is a choice."""
        return self.clusters is not None and self.clusters.fleet is not None

    def closed_to(self, member: Member) -> str | None:
        """Why the engine's cluster gets nothing new, if there is another that does."""
        if self.clusters is None or not self.several:
            return None
        why = self.clusters.closed_lately().get(cluster_of(member.run_id))
        if why is None:
            return None
        if why == DRAINED:
            return "drained"
        return "silent cluster" if self._settled(member.key, member.run_id) else None

    def left_by(self, member: Member) -> str | None:
        """Whether the queue does not name the engine's cluster any more."""
        if self.clusters is None or not self.several:
            return None
        weights = self.terms(member.key.project_id, member.key.queue).clusters
        named = not weights or cluster_of(member.run_id) in weights
        return None if named else "its queue moved"

    def _settled(self, key: Key, run_id: RunId) -> str | None:
        assert self.clusters is not None
        return self.clusters.settle(self.terms(key.project_id, key.queue).clusters, run_id)

    def name(self, key: Key, at: datetime, cluster: str | None) -> RunId:
        """A new run's name, which tells its cluster. Raises ``EngineStartError``."""
        run_id = RunId(new_id("run", at))
        if self.clusters is None or not self.several:
            return run_id
        closed = self.clusters.closed_lately()
        if cluster is None or cluster in closed:
            cluster = self._settled(key, run_id)
        if cluster is None:
            told = ", ".join(f"{name} {why}" for name, why in closed.items())
            raise EngineStartError(
                f"no cluster of the queue takes a new engine now: {told}",
                hint="`dli cluster list` tells more",
            )
        return run_in(run_id, cluster)
