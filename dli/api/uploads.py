"""Bodies that are files, or forms with files: taken in piece by piece, never whole in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile

from dli.api.complaints import complaints, summed_up
from dli.api.wire import InvalidRequestError
from dli.identity.principals import Principal
from dli.services import Services
from jobs.files import Files, StoredFile, checked_name

_BLOCK = 1 << 20
_MOST_FILES = 200
_FORM = "multipart/form-data"


async def keep_body(request: Request, services: Services, caller: Principal) -> StoredFile:
    """The body of the request as a file of the caller's project."""
    with services.files.draft() as draft:
        async for piece in request.stream():
            draft.write(piece)
        return await run_in_threadpool(draft.keep, caller.project_id)


async def read_form(
    request: Request, services: Services, caller: Principal, *, part: str
) -> dict[str, Any]:
    """The JSON of a request with files: that of its part ``part``, or the whole body.

    Each file of a form is kept, and ``{"part": NAME}`` in the JSON becomes a reference to it.
    Raises ``InvalidRequestError``.
    """
    if not request.headers.get("content-type", "").startswith(_FORM):
        return _object(await request.body(), "body")
    async with request.form(max_files=_MOST_FILES, max_fields=1, max_part_size=_BLOCK) as form:
        given = form.get(part)
        if isinstance(given, UploadFile):
            given = (await given.read(_BLOCK)).decode(errors="replace")
        if given is None:
            raise InvalidRequestError(f"{part}: the form has no part of this name")
        body = _object(given.encode(), part)
        kept = {}
        for upload in _uploads(form, part):
            name = checked_name(upload.filename or "")
            kept[name] = await run_in_threadpool(_keep, services.files, caller, upload.file)
    return dict(_resolved(body, kept))


def validated(model: type[BaseModel], given: dict[str, Any]) -> Any:
    """``given`` as a ``model``; raises ``InvalidRequestError`` that names each field."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        told = complaints(error.errors(include_url=False), model)
        message, hint = summed_up(told)
        raise InvalidRequestError(message, hint=hint, errors=told) from error


def form_schema(model: type[BaseModel], part: str) -> dict[str, Any]:
    """How OpenAPI tells of such a body."""
    schema = model.model_json_schema()
    form = {
        "type": "object",
        "properties": {
            part: {"type": "string", "description": "The JSON body."},
            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
        },
        "required": [part],
    }
    whole = _inlined(schema, schema.pop("$defs", {}))
    content = {"application/json": {"schema": whole}, _FORM: {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def _object(text: bytes, field: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
        if rb"\u" in text:  # it may hold half of a character, which nobody can write down
            json.dumps(given, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{field}: is not JSON") from error
    if not isinstance(given, dict):
        raise InvalidRequestError(f"{field}: is no JSON object")
    return given


def _uploads(form: FormData, part: str) -> Iterator[UploadFile]:
    names = set()
    for key, value in form.multi_items():
        if key == part:
            continue
        if not isinstance(value, UploadFile):
            raise InvalidRequestError(f"{key}: is a field without a file")
        if value.filename in names:
            raise InvalidRequestError(f"{value.filename}: two parts have this file name")
        names.add(value.filename)
        yield value


def _keep(files: Files, caller: Principal, source: BinaryIO) -> StoredFile:
    return files.keep(caller.project_id, iter(lambda: source.read(_BLOCK), b""))


def _resolved(value: Any, kept: Mapping[str, StoredFile]) -> Any:
    """``value`` with hashes where it names parts of the form."""
    if isinstance(value, list):
        return [_resolved(each, kept) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(name := value.get("part"), str):
        if name not in kept:
            raise InvalidRequestError(f"part: the form has no file called {name!r}")
        rest = {key: each for key, each in value.items() if key != "part"}
        return {"name": name, **rest, "sha256": kept[name].sha256}
    return {key: _resolved(each, kept) for key, each in value.items()}


def _inlined(schema: Any, shared: Mapping[str, Any]) -> Any:
    """``schema`` without references; none of our models holds itself."""
    if isinstance(schema, list):
        return [_inlined(each, shared) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(ref := schema.get("$ref"), str):
        return _inlined(shared[ref.rsplit("/", 1)[-1]], shared)
    return {key: _inlined(each, shared) for key, each in schema.items()}
