"""``/files``: what jobs are given, kept once by its content."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.envelope import moment
from dli.api.schemas.batches import FileReply
from dli.api.uploads import keep_body
from dli.api.wire import json_response
from dli.identity.principals import Role
from jobs.files import StoredFile

router = APIRouter(prefix="/files", tags=["batches"])

_ANY = {"content": {"application/octet-stream": {"schema": {"format": "binary"}}}}


@router.post("", status_code=201, response_model=FileReply, openapi_extra={"requestBody": _ANY})
async def upload_file(
    request: Request, services: AllServices, caller: Caller, key: IdempotencyKey
) -> Response:
    """Keep the body of the request as a file of the project; its hash names it in jobs.

    The same bytes are one file, so a repeat needs no key. It goes when no job used it for long.
    """
    caller.require(Role.WRITER)
    kept = await keep_body(request, services, caller)
    return json_response(file_json(kept), 201)


def file_json(kept: StoredFile) -> dict[str, Any]:
    """An uploaded file as it is told."""
    return {
        "sha256": kept.sha256,
        "size": kept.size,
        "created_at": moment(kept.created_at),
        "last_used_at": moment(kept.last_used_at),
    }
