"""Schedules, triggers and webhooks, over REST; the JSON is that of the API."""

from __future__ import annotations

from typing import cast

from dli.remote.calls import Calls, Json, present


class AutomationCalls(Calls):
    """Of ``Client``."""

    def schedules(self) -> list[Json]:
        return list(self._pages("/schedules", {}))

    def create_schedule(self, name: str, *, job: Json, **fields: object) -> Json:
        """Submit ``job`` (a job document) at its times: ``cron`` and ``timezone``, ``every`` or
        ``at``. ``fields`` are those of the API: ``missed``, ``overlap``, ``jitter``, …. A ``Path``
        in the document is a file of this machine, which is uploaded; likewise below."""
        job = self._with_files(job)
        return self._create("/schedules", {"name": name, "job": job, **present(fields)})

    def schedule(self, name: str) -> Json:
        return self._json("GET", f"/schedules/{name}")

    def update_schedule(self, name: str, **fields: object) -> Json:
        """Change these fields; None takes ``start`` or ``end`` away."""
        return self._json("PATCH", f"/schedules/{name}", body=self._with_files(fields))

    def pause_schedule(self, name: str) -> Json:
        return self._again(f"/schedules/{name}/pause")

    def resume_schedule(self, name: str) -> Json:
        return self._again(f"/schedules/{name}/resume")

    def run_schedule(self, name: str) -> Json:
        """Submit its job now; the firing."""
        return self._again(f"/schedules/{name}/run")

    def next_times(self, name: str, count: int = 10) -> list[Json]:
        """The due times to come."""
        query = {"count": count}
        return cast(list[Json], self._json("GET", f"/schedules/{name}/next", query=query)["items"])

    def schedule_firings(self, name: str, most: int = 100) -> list[Json]:
        """What became of its due times, newest first."""
        return self._first(f"/schedules/{name}/firings", most)

    def delete_schedule(self, name: str) -> None:
        self._ask("DELETE", f"/schedules/{name}")

    def triggers(self) -> list[Json]:
        return list(self._pages("/triggers", {}))

    def create_trigger(self, name: str, *, on: Json, job: Json) -> Json:
        """Submit ``job`` when ``on`` happens. The secret of a webhook is in this answer only.

        Asked once only: a repeat would give the trigger without its secret.
        """
        body = {"name": name, "on": on, "job": self._with_files(job)}
        return self._json("POST", "/triggers", body=body)

    def trigger(self, name: str) -> Json:
        return self._json("GET", f"/triggers/{name}")

    def pause_trigger(self, name: str) -> Json:
        return self._again(f"/triggers/{name}/pause")

    def resume_trigger(self, name: str) -> Json:
        return self._again(f"/triggers/{name}/resume")

    def trigger_firings(self, name: str, most: int = 100) -> list[Json]:
        """What it fired, newest first."""
        return self._first(f"/triggers/{name}/firings", most)

    def delete_trigger(self, name: str) -> None:
        self._ask("DELETE", f"/triggers/{name}")

    def webhooks(self) -> list[Json]:
        return list(self._pages("/webhooks", {}))

    def create_webhook(self, name: str, url: str, **fields: object) -> Json:
        """Be told at ``url`` of jobs that end. The secret is in this answer only; asked once."""
        return self._json("POST", "/webhooks", body={"name": name, "url": url, **present(fields)})

    def deliveries(self, name: str, most: int = 100) -> list[Json]:
        """What was sent to a webhook or is to be, newest first."""
        return self._first(f"/webhooks/{name}/deliveries", most)

    def test_webhook(self, name: str) -> Json:
        """Send a notification of the event ``test``."""
        return self._again(f"/webhooks/{name}/test")

    def delete_webhook(self, name: str) -> None:
        self._ask("DELETE", f"/webhooks/{name}")
