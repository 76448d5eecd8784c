"""``/jobs``: what was asked for, of every kind: watch, read logs, cancel, explain."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from dli.api import streams
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.documents import document_schema
from dli.api.envelope import past_json
from dli.api.schemas.fields import Span
from dli.api.schemas.jobs import JobReply, JobsPage, StoryReply
from dli.api.schemas.statements import KeptBillReply
from dli.api.watching import (
    AskedListing,
    answer,
    bill_answer,
    cancel_answer,
    check_own,
    event_number,
    page_answer,
    unless_known,
)
from dli.api.wire import json_response
from dli.identity.projects import names_of
from jobs.explaining import people, story
from jobs.history.fingerprints import fingerprint_of
from jobs.launchers.api import LogStream
from jobs.lifecycle.spec import JobKind
from storage.base.ids import JobId

router = APIRouter(prefix="/jobs", tags=["jobs"])
_LOG = "text/plain; charset=utf-8"


schemas = APIRouter(prefix="/schemas", tags=["jobs"])


@schemas.get("/job.json", response_class=Response)
def get_job_schema(caller: Caller) -> Response:
    """The JSON Schema of a job document: what files, schedules and pipelines hold."""
    return json_response(document_schema())


@router.get("", response_model=JobsPage)
def list_jobs(
    services: AllServices,
    caller: Caller,
    asked: AskedListing,
    kind: Annotated[list[JobKind] | None, Query(description="Any of these.")] = None,
    parent: Annotated[str | None, Query(description="Nodes of this pipeline run.")] = None,
) -> Response:
    """The project's jobs of all kinds, newest first."""
    parent_id = None if parent is None else JobId(parent)
    wanted = replace(asked.wanted, kinds=frozenset(kind or ()), parent_id=parent_id)
    return page_answer(services, caller, asked, wanted)


@router.get(
    "/{job_id}",
    response_model=JobReply,
    responses={304: {"description": "As in `If-None-Match`."}},
)
async def get_job(
    request: Request,
    services: AllServices,
    caller: Caller,
    job_id: str,
    wait: Annotated[
        Span | None, Query(description="Answer when it changes, or after this.")
    ] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """One job. With `wait`, as soon as it is not what `If-None-Match` says, or changes."""
    view = await streams.watched(request, services, caller, job_id, wait=wait, known=if_none_match)
    return unless_known(services, view, if_none_match)


@router.get("/{job_id}/logs", response_class=Response, responses={200: {"content": {_LOG: {}}}})
async def get_log(
    services: AllServices,
    caller: Caller,
    job_id: str,
    stream: LogStream = LogStream.STDOUT,
    attempt: Annotated[int | None, Query(ge=1, description="The last if not given.")] = None,
    offset: Annotated[int, Query(ge=0, description="Of the first byte that is wanted.")] = 0,
    follow: Annotated[bool, Query(description="Go on until the job ends.")] = False,
) -> Response:
    """What a batch or a task wrote: a MiB at most from `offset` on, or all of it as it comes.

    `DLI-Log-Offset` is where the answer begins (later than asked if older output was let go of),
    `DLI-Log-End` where to go on.
    """
    view = await run_in_threadpool(services.jobs.get, caller.project_id, JobId(job_id))

    def part() -> Any:
        return services.jobs.log(
            caller.project_id, view.job.id, stream=stream, attempt=attempt, offset=offset
        )

    first = await run_in_threadpool(part)  # raises for jobs without logs
    if follow:
        pieces = streams.followed_log(services, view, stream=stream, attempt=attempt, offset=offset)
        return StreamingResponse(pieces, media_type=_LOG)
    told = {"DLI-Log-Offset": str(first.offset), "DLI-Log-End": str(first.end)}
    return Response(first.data, media_type=_LOG, headers=told)


@router.get("/{job_id}/events", response_class=Response)
async def follow_job(
    services: AllServices,
    caller: Caller,
    job_id: str,
    last_event_id: Annotated[str | None, Header(description="Resume after this event.")] = None,
) -> Response:
    """Server-sent events: each state (with an id), progress, and usage with the bill at the end."""
    after = event_number(last_event_id)
    return await streams.job_events(services, caller.project_id, JobId(job_id), after=after)


@router.get("/{job_id}/explain", response_model=StoryReply)
def explain_job(services: AllServices, caller: Caller, job_id: str) -> Response:
    """What happened to a job, step by step in sentences; what it waits for, what would help."""
    view = services.jobs.get(caller.project_id, JobId(job_id))
    past = [past_json(seen) for seen in services.jobs.histories.past(view.job)]
    with services.database.read() as tx:
        names = names_of(tx, people(view))
    lines = list(story(view, names=names))
    told = {"id": view.job.id, "state": view.job.state.value, "story": lines}
    return json_response(told | {"fingerprint": fingerprint_of(view.job.spec), "past": past})


@router.get("/{job_id}/bill", response_model=KeptBillReply)
def get_job_bill(services: AllServices, caller: Caller, job_id: str) -> Response:
    """What the job costs, line by line, as it was settled."""
    return bill_answer(services, caller, job_id)


@router.post("/{job_id}/cancel", response_model=JobReply)
def cancel_job(services: AllServices, caller: Caller, job_id: str, key: IdempotencyKey) -> Response:
    """Ask for the end. It is `cancelled` when its work has stopped, `cancelling` until then.

    Readers may cancel their own.
    """
    return cancel_answer(services, caller, job_id, key)


@router.post("/{job_id}/renew", response_model=JobReply)
def renew_job(services: AllServices, caller: Caller, job_id: str) -> Response:
    """Keep a job with a client's lease: it is cancelled when this is not asked in time."""
    check_own(services, caller, job_id)
    view = services.jobs.renew(caller.project_id, JobId(job_id))
    return answer(services, view, 200)
