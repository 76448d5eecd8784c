"""``/tasks``: hand in commands, and fetch what they left. All else is told by ``/jobs``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from dli.api import streams
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.outputs import BYTES, OUTPUT_RESPONSES, output_response
from dli.api.requests import task_request
from dli.api.schemas.jobs import JobReply
from dli.api.schemas.tasks import TaskBody
from dli.api.terms import submitter_of
from dli.api.uploads import form_schema, read_form, validated
from dli.api.watching import answer, ended, of_kind
from dli.identity.principals import Role
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.outputs import STDOUT
from storage.base.ids import JobId

router = APIRouter(prefix="/tasks", tags=["tasks"])

_PART = "task"


@router.post(
    "",
    status_code=202,
    response_model=JobReply,
    responses={200: {"model": JobReply, "description": "Ended within `wait`."}},
    openapi_extra=form_schema(TaskBody, _PART),
)
async def submit_task(
    request: Request,
    services: AllServices,
    caller: Caller,
    key: IdempotencyKey,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """Run a command: JSON, or a form with the JSON in `task` and files beside it.

    With `Accept: application/octet-stream`, what it wrote if it finished within `wait`.
    """
    caller.require(Role.WRITER)
    body: TaskBody = validated(TaskBody, await read_form(request, services, caller, part=_PART))
    asked = task_request(body, submitter_of(caller), key=key)
    streams.check_wait(services, body.wait)
    view = await run_in_threadpool(services.tasks.submit, asked)
    view = await streams.wait_until(
        services, view, ended, wait=body.wait, gone=request.is_disconnected
    )
    if accept == BYTES and view.job.state is JobState.FINISHED:
        return await run_in_threadpool(output_response, services, view.job, STDOUT, None)
    return answer(services, view, 200 if ended(view) else 202)


@router.get("/{job_id}/output", response_class=Response, responses=OUTPUT_RESPONSES)
def get_output(
    services: AllServices,
    caller: Caller,
    job_id: str,
    name: Annotated[
        str, Query(description="A file that it left, by its path in the task's folder.")
    ] = STDOUT,
    range_: Annotated[str | None, Header(alias="Range", description="`bytes=A-B`.")] = None,
) -> Response:
    """What the command wrote to its standard output, also if it failed; or a file that it left."""
    job = of_kind(services.jobs.get(caller.project_id, JobId(job_id)), JobKind.TASK).job
    return output_response(services, job, name, range_)
