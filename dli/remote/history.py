"""What programs and statements used before, over REST; the JSON is that of the API."""

from __future__ import annotations

from dli.remote.calls import Calls, Json


class HistoryCalls(Calls):
    """``Client.history``. A ``fingerprint`` is what ``Client.explain_job`` tells of a job."""

    def get(self, fingerprint: str) -> Json:
        """What its last runs used (``past``), and what its ``next`` gets."""
        return self._json("GET", f"/history/{fingerprint}")

    def set_size(self, fingerprint: str, *, memory: str | int, cores: int = 1) -> Json:
        """Let its next runs that name no size have this one."""
        body = {"memory": memory, "cores": cores}
        return self._json("PUT", f"/history/{fingerprint}/size", body=body)

    def unset_size(self, fingerprint: str) -> Json:
        """Go by what its runs use again."""
        return self._json("DELETE", f"/history/{fingerprint}/size")
