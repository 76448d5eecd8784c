"""``/history``: what programs and statements used before, and the size of their next run."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from dli.api.deps import AllServices, Caller
from dli.api.envelope import past_json
from dli.api.schemas.history import HistoryReply, NextSizeBody
from dli.api.wire import json_response
from dli.identity.principals import Role
from jobs.history.book import History
from jobs.lifecycle.spec import Size

router = APIRouter(prefix="/history", tags=["jobs"])


@router.get("/{fingerprint}", response_model=HistoryReply)
def get_history(services: AllServices, caller: Caller, fingerprint: str) -> Response:
    """What it used; the fingerprint of a job is in `GET /jobs/{id}/explain`."""
    return json_response(_told(services.jobs.histories.get(caller.project_id, fingerprint)))


@router.put("/{fingerprint}/size", response_model=HistoryReply)
def set_size(
    services: AllServices, caller: Caller, fingerprint: str, body: NextSizeBody
) -> Response:
    """Let its next runs that name no size have this one. Needs the role writer."""
    caller.require(Role.WRITER)
    size = Size(cores=body.cores, memory_bytes=body.memory)
    made = services.jobs.histories.set_next_size(
        caller.project_id, fingerprint, size, by=caller.user_id
    )
    return json_response(_told(made))


@router.delete("/{fingerprint}/size", response_model=HistoryReply)
def unset_size(services: AllServices, caller: Caller, fingerprint: str) -> Response:
    """Go by what its runs use again. Needs the role writer."""
    caller.require(Role.WRITER)
    made = services.jobs.histories.set_next_size(
        caller.project_id, fingerprint, None, by=caller.user_id
    )
    return json_response(_told(made))


def _told(found: History) -> dict[str, Any]:
    next_ = found.next
    return {
        "fingerprint": found.fingerprint,
        "next": None
        if next_ is None
        else {
            "cores": next_.size.cores,
            "memory_bytes": next_.size.memory_bytes,
            "reason": next_.reason,
            "set": next_.said,
        },
        "past": [past_json(seen) for seen in found.past],
    }
