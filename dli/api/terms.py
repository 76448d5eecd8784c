"""From the fields that every kind of job takes to what ``jobs`` asks for."""

from __future__ import annotations

import hashlib

from dli.api.schemas.terms import TermsBody
from dli.api.wire import dumps
from dli.identity.principals import Principal
from jobs.lifecycle.spec import ClientLease, RetryPolicy
from jobs.views import Terms


def terms_of(body: TermsBody, caller: Principal, *, key: str | None) -> Terms:
    """The terms of a request in the caller's name. With a ``key`` the body is hashed beside it."""
    retry, lease = body.retry, body.lease
    return Terms(
        project_id=caller.project_id,
        user_id=caller.user_id,
        may_write=caller.may_write,
        queue=body.queue,
        labels=body.labels,
        max_cost=body.max_cost,
        timeout=body.timeout,
        priority=body.priority,
        retry=None
        if retry is None
        else RetryPolicy(attempts=retry.attempts, pause=retry.pause, on=tuple(retry.on)),
        lease=None if lease is None else ClientLease(ttl=lease.ttl),
        idempotency_key=key,
        body_hash=None if key is None else _hash(body),
    )


def _hash(body: TermsBody) -> str:
    """How long a client waits for the answer is not part of what it asks for."""
    asked = body.model_dump(mode="json", exclude={"wait"})
    return hashlib.sha256(dumps(asked)).hexdigest()
