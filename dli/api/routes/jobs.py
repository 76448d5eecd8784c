"""``/jobs``: what was asked for, of every kind: watch, read logs, cancel, explain."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from dli.api import results, streams
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.documents import document_schema
from dli.api.envelope import etag_of, job_json, kept_bill_json, listed_json
from dli.api.idempotency import Once, do_once
from dli.api.schemas.fields import Span
from dli.api.schemas.jobs import JobReply, JobsPage, StoryReply
from dli.api.schemas.statements import KeptBillReply
from dli.api.watching import answer, check_own, check_wait, label_of
from dli.api.wire import InvalidRequestError, json_response, page_json
from dli.billing.bills import find_bill
from jobs.explaining import story
from jobs.launchers.api import LogStream
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.service import JobFilter
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
    kind: Annotated[list[JobKind] | None, Query(description="Any of these.")] = None,
    state: Annotated[list[JobState] | None, Query(description="Any of these.")] = None,
    queue: str | None = None,
    parent: Annotated[str | None, Query(description="Nodes of this pipeline run.")] = None,
    label: Annotated[list[str] | None, Query(description="`NAME=VALUE`; all must fit.")] = None,
    start: Annotated[
        datetime | None, Query(alias="from", description="Created then or later.")
    ] = None,
    end: Annotated[datetime | None, Query(alias="to", description="Created before.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The project's jobs of all kinds, newest first."""
    wanted = JobFilter(
        kinds=frozenset(kind or ()),
        states=frozenset(state or ()),
        queue=queue,
        parent_id=None if parent is None else JobId(parent),
        labels=dict(label_of(text) for text in label or ()),
        created_from=results.aware(start),
        created_to=results.aware(end),
    )
    page = services.jobs.list(caller.project_id, wanted, cursor=cursor, limit=limit)
    items = [listed_json(view, services.book) for view in page.items]
    return json_response(page_json(items, page.next_cursor))


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
    view = await run_in_threadpool(services.jobs.get, caller.project_id, JobId(job_id))
    if wait is not None:
        check_wait(services, wait)
        differs = streams.differs_from(if_none_match, view)
        view = await streams.wait_until(
            services, view, differs, wait=wait, gone=request.is_disconnected
        )
    if if_none_match == etag_of(view):
        return Response(status_code=304, headers={"ETag": etag_of(view)})
    return answer(services, view, 200)


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
    after = last_event_id or "0"
    if not after.isdigit():
        raise InvalidRequestError("Last-Event-ID: is the number of an event")
    return await streams.job_events(services, caller.project_id, JobId(job_id), after=int(after))


@router.get("/{job_id}/explain", response_model=StoryReply)
def explain_job(services: AllServices, caller: Caller, job_id: str) -> Response:
    """What happened to a job, step by step in sentences; what it waits for, what would help."""
    view = services.jobs.get(caller.project_id, JobId(job_id))
    told = {"id": view.job.id, "state": view.job.state.value, "story": list(story(view))}
    return json_response(told)


@router.get("/{job_id}/bill", response_model=KeptBillReply)
def get_job_bill(services: AllServices, caller: Caller, job_id: str) -> Response:
    """What the job costs, line by line, as it was settled."""
    view = services.jobs.get(caller.project_id, JobId(job_id))
    with services.database.read() as tx:
        bill = find_bill(tx, caller.project_id, view.job.id)
    return json_response(kept_bill_json(view.job.id, bill, services.book.currency))


@router.post("/{job_id}/cancel", response_model=JobReply)
def cancel_job(services: AllServices, caller: Caller, job_id: str, key: IdempotencyKey) -> Response:
    """Ask for the end. It is `cancelled` when its work has stopped, `cancelling` until then.

    Readers may cancel their own.
    """
    check_own(services, caller, job_id)

    def cancel() -> tuple[int, dict[str, Any]]:
        view = services.jobs.cancel(caller.project_id, JobId(job_id), by=caller.user_id)
        return 200, job_json(view, services.book)

    once = Once(project_id=caller.project_id, key=key, path=f"cancel {job_id}", body=None)
    return do_once(services, once, cancel)


@router.post("/{job_id}/renew", response_model=JobReply)
def renew_job(services: AllServices, caller: Caller, job_id: str) -> Response:
    """Keep a job with a client's lease: it is cancelled when this is not asked in time."""
    check_own(services, caller, job_id)
    view = services.jobs.renew(caller.project_id, JobId(job_id))
    return answer(services, view, 200)
