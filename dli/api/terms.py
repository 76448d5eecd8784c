"""From the fields that every kind of job takes to what ``jobs`` asks for."""

from __future__ import annotations

import hashlib

from dli.api.schemas.terms import TermsBody
from dli.api.wire import dumps
from dli.identity.principals import Principal
from jobs.documents import Submitter
from jobs.lifecycle.spec import ClientLease, RetryPolicy
from jobs.views import Terms


def submitter_of(caller: Principal) -> Submitter:
    """A caller, as the one in whose name jobs are submitted."""
    return Submitter(
        project_id=caller.project_id, user_id=caller.user_id, may_write=caller.may_write
    )


def terms_of(body: TermsBody, by: Submitter, *, key: str | None) -> Terms:
    """The terms of a request. With a ``key`` the body is hashed beside it."""
    retry, lease = body.retry, body.lease
    return Terms(
        project_id=by.project_id,
        user_id=by.user_id,
        may_write=by.may_write,
        queue=body.queue,
        labels={**body.labels, **by.labels},
        max_cost=body.max_cost,
        timeout=body.timeout,
        priority=body.priority,
        retry=None
        if retry is None
        else RetryPolicy(attempts=retry.attempts, pause=retry.pause, on=tuple(retry.on)),
        lease=None if lease is None else ClientLease(ttl=lease.ttl),
        idempotency_key=key,
        body_hash=None if key is None else _hash(body),
        parent_id=by.parent_id,
        node=by.node,
    )


def _hash(body: TermsBody) -> str:
    """How long a client waits for the answer is not part of what it asks for."""
    asked = body.model_dump(mode="json", exclude={"wait"})
    return hashlib.sha256(dumps(asked)).hexdigest()
