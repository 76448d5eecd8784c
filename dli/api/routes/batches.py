"""``/batches``: hand in Spark programs. What becomes of them is told by ``/jobs``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from dli.api import streams
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.envelope import batch_estimate_json
from dli.api.outputs import OUTPUT_RESPONSES, output_response
from dli.api.requests import batch_request
from dli.api.schemas.batches import BatchBody, BatchEstimateReply, BatchMode
from dli.api.schemas.jobs import JobReply
from dli.api.terms import submitter_of
from dli.api.uploads import form_schema, read_form, validated
from dli.api.watching import answer, ended, of_kind
from dli.api.wire import json_response
from dli.identity.principals import Role
from jobs.lifecycle.spec import JobKind
from storage.base.ids import JobId

router = APIRouter(prefix="/batches", tags=["batches"])

_PART = "batch"


@router.post(
    "",
    status_code=202,
    response_model=JobReply | BatchEstimateReply,
    responses={200: {"model": JobReply, "description": "Ended within `wait`, or an estimate."}},
    openapi_extra=form_schema(BatchBody, _PART),
)
async def submit_batch(
    request: Request, services: AllServices, caller: Caller, key: IdempotencyKey
) -> Response:
    """Run a Spark program: JSON, or a form with the JSON in `batch` and files beside it.

    `estimate` runs nothing and keeps no job.
    """
    caller.require(Role.WRITER)
    given: dict[str, Any] = await read_form(request, services, caller, part=_PART)
    body: BatchBody = validated(BatchBody, given)
    asked = batch_request(body, submitter_of(caller), key=key)
    if body.mode is BatchMode.ESTIMATE:
        told = await run_in_threadpool(services.batches.estimate, asked)
        return json_response(batch_estimate_json(told))
    streams.check_wait(services, body.wait)
    view = await run_in_threadpool(services.batches.submit, asked)
    view = await streams.wait_until(
        services, view, ended, wait=body.wait, gone=request.is_disconnected
    )
    return answer(services, view, 200 if ended(view) else 202)


@router.get("/{job_id}/output", response_class=Response, responses=OUTPUT_RESPONSES)
def get_output(
    services: AllServices,
    caller: Caller,
    job_id: str,
    name: Annotated[str, Query(description="Of the file, by its path in the batch's folder.")] = "",
    range_: Annotated[str | None, Header(alias="Range", description="`bytes=A-B`.")] = None,
) -> Response:
    """A file that the program left and that `outputs` names."""
    job = of_kind(services.jobs.get(caller.project_id, JobId(job_id)), JobKind.BATCH).job
    return output_response(services, job, name, range_)
