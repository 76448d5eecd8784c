"""What is told of jobs that end, written in the transaction that ends them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from jobs.firings.spec import Firing
from jobs.lifecycle.job import Job
from jobs.lifecycle.spec import BatchSpec, PipelineSpec, StatementSpec, TaskSpec
from jobs.lifecycle.states import JobState
from jobs.notices import store
from jobs.notices.spec import Delivery, NoticeEvent, Webhook
from storage.base.clock import Clock
from storage.base.ids import ProjectId, new_id
from storage.meta.database import Tx

_EVENTS = {
    JobState.FINISHED: NoticeEvent.FINISHED,
    JobState.FAILED: NoticeEvent.FAILED,
    JobState.CANCELLED: NoticeEvent.CANCELLED,
}
_KEPT = timedelta(seconds=1)  # how late a webhook made by another replica may come into force
_MOST = 10_000


@dataclass(slots=True, kw_only=True)
class Outbox:
    """Knows for a second which project has webhooks: most have none, and jobs end often."""

    clock: Clock
    wake: threading.Event = field(
        default_factory=threading.Event
    )  #: there may be something to send
    _known: dict[ProjectId, tuple[float, tuple[Webhook, ...]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)  #: guards ``_known``

    def ended(self, tx: Tx, job: Job, *, at: datetime) -> None:
        """Post what is told of a job at its end."""
        event = _EVENTS[job.state]
        wanted = [
            webhook
            for webhook in self._webhooks(tx, job.project_id)
            if webhook.wants(event, job.kind, job.spec.labels)
        ]
        if wanted:
            self._post(tx, wanted, event, {"job": job_notice(job)}, job, at)

    def firing_failed(self, tx: Tx, firing: Firing, *, at: datetime) -> None:
        """Post that a schedule or trigger could not submit its job."""
        event = NoticeEvent.FIRING_FAILED
        wanted = [
            webhook
            for webhook in self._webhooks(tx, firing.project_id)
            if webhook.wants(event, None, firing.labels)
        ]
        if wanted:
            self._post(tx, wanted, event, {"firing": dict(firing.told())}, None, at)

    def forget(self) -> None:
        """Look again: a webhook was made or deleted here."""
        with self._lock:
            self._known.clear()

    def _webhooks(self, tx: Tx, project_id: ProjectId) -> tuple[Webhook, ...]:
        now = self.clock.monotonic()
        with self._lock:
            known = self._known.get(project_id)
        if known is not None and now - known[0] <= _KEPT.total_seconds():
            return known[1]
        found = store.every(tx, project_id)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[project_id] = (now, found)
        return found

    def _post(
        self,
        tx: Tx,
        wanted: list[Webhook],
        event: NoticeEvent,
        body: Mapping[str, Any],
        job: Job | None,
        at: datetime,
    ) -> None:
        store.post(tx, [delivery(webhook, event, body, job=job, at=at) for webhook in wanted])
        self.wake.set()  # before the commit: then it is found by the loop's own pace


def delivery(
    webhook: Webhook,
    event: NoticeEvent,
    body: Mapping[str, Any],
    *,
    at: datetime,
    job: Job | None = None,
) -> Delivery:
    """A notification that was not sent yet."""
    delivery_id = new_id("dlv", at)
    return Delivery(
        id=delivery_id,
        webhook_id=webhook.id,
        project_id=webhook.project_id,
        event=event,
        job_id=None if job is None else job.id,
        body={
            "id": delivery_id,
            "event": event.value,
            "at": at.isoformat(timespec="milliseconds"),
            "project": webhook.project_id,
            **body,
        },
        created_at=at,
    )


def job_notice(job: Job) -> dict[str, Any]:
    """What is told of a job: no text, no parameters, no rows."""
    failure = job.failure
    return {
        "id": job.id,
        "kind": job.kind.value,
        "name": job_name(job),
        "state": job.state.value,
        "queue": job.queue,
        "labels": dict(job.spec.labels),
        "parent": job.parent_id,
        "node": job.node,
        "attempt": job.attempt,
        "created_at": job.created_at.isoformat(timespec="milliseconds"),
        "ended_at": None
        if job.ended_at is None
        else job.ended_at.isoformat(timespec="milliseconds"),
        "cancel_reason": None if job.cancel_reason is None else job.cancel_reason.value,
        "error": None
        if failure is None
        else {"code": failure.code, "message": failure.message, "retryable": failure.retryable},
    }


def job_name(job: Job) -> str | None:
    """The name of a batch, a task or a pipeline; statements have none."""
    match job.spec:
        case BatchSpec() | TaskSpec():
            return job.spec.name
        case PipelineSpec():
            return job.spec.pipeline
        case StatementSpec():
            return None
