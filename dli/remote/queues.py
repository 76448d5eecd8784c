"""Queues, their canaries, and the clusters where their pods run, over REST."""

from __future__ import annotations

from dli.remote.calls import Calls, Json, present


class QueueCalls(Calls):
    """Of ``Client``."""

    def queues(self) -> list[Json]:
        return list(self._pages("/queues", {}))

    def queue(self, name: str) -> Json:
        """One queue, and what it does now under ``load``."""
        return self._json("GET", f"/queues/{name}")

    def create_queue(self, name: str, **fields: object) -> Json:
        return self._create("/queues", {"name": name, **present(fields)})

    def update_queue(self, name: str, **fields: object) -> Json:
        """Change these limits; None takes one away that the queue may be without."""
        return self._json("PATCH", f"/queues/{name}", body=fields)

    def delete_queue(self, name: str) -> None:
        self._ask("DELETE", f"/queues/{name}")

    def canary(self, queue: str) -> Json:
        """The queue's canary, with its ``figures`` and the statements that are ``worst``."""
        return self._json("GET", f"/queues/{queue}/canary")

    def canaries(self, queue: str) -> list[Json]:
        """All that the queue had, the newest first."""
        return list(self._pages(f"/queues/{queue}/canaries", {}))

    def start_canary(self, queue: str, *, image: str, **fields: object) -> Json:
        """``fields``: ``percent``, ``shadow``, and ``max_errors``, where None means: no bound."""
        return self._json("POST", f"/queues/{queue}/canary", body={"image": image, **fields})

    def change_canary(self, queue: str, **fields: object) -> Json:
        """As ``start_canary``; what is not named stays."""
        return self._json("PATCH", f"/queues/{queue}/canary", body=fields)

    def promote_canary(self, queue: str) -> Json:
        """Make its image the queue's own."""
        return self._json("POST", f"/queues/{queue}/canary/promote")

    def roll_back_canary(self, queue: str) -> Json:
        return self._json("POST", f"/queues/{queue}/canary/rollback")

    def clusters(self) -> list[Json]:
        """Where runs are started; for administrators of the service."""
        return list(self._pages("/clusters", {}))

    def cluster(self, name: str) -> Json:
        return self._json("GET", f"/clusters/{name}")

    def drain_cluster(self, name: str) -> Json:
        """Start nothing new there; what runs goes on."""
        return self._json("PATCH", f"/clusters/{name}", body={"drained": True})

    def undrain_cluster(self, name: str) -> Json:
        return self._json("PATCH", f"/clusters/{name}", body={"drained": False})
