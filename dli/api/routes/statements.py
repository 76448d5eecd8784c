"""``/statements``: submit, watch, fetch, cancel."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from dli.api import results, streams
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.direct import DirectRoute
from dli.api.envelope import (
    etag_of,
    job_json,
    kept_bill_json,
    listed_json,
    plan_json,
)
from dli.api.idempotency import Once, do_once
from dli.api.requests import statement_request
from dli.api.schemas.fields import Span
from dli.api.schemas.statements import (
    KeptBillReply,
    Mode,
    PlanReply,
    StatementBody,
    StatementReply,
    StatementsPage,
)
from dli.api.terms import submitter_of
from dli.api.watching import answer, check_own, check_wait, ended, label_of, of_kind
from dli.api.wire import InvalidRequestError, json_response, page_json
from dli.billing.bills import find_bill
from dli.services import Services
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.lifecycle.states import JobState
from jobs.service import JobFilter, StatementRequest
from storage.base.ids import JobId

router = APIRouter(prefix="/statements", tags=["statements"], route_class=DirectRoute)


@router.post(
    "",
    response_model=StatementReply | PlanReply,
    responses={202: {"model": StatementReply, "description": "Not ended within `wait`."}},
)
async def submit_statement(
    request: Request,
    services: AllServices,
    caller: Caller,
    body: StatementBody,
    key: IdempotencyKey,
) -> Response:
    """Run a statement and wait for its end: 200 with everything, or 202 with what is known.

    `estimate`, `validate` and `explain` run nothing and keep nothing.
    """
    asked = statement_request(body, submitter_of(caller), key=key)
    if body.mode is not Mode.RUN:
        return await run_in_threadpool(_plan, services, asked, body.mode)
    check_wait(services, body.wait)
    view = await run_in_threadpool(services.jobs.submit, asked)
    view = await streams.wait_until(
        services, view, ended, wait=body.wait, gone=request.is_disconnected
    )
    return answer(services, view, 200 if ended(view) else 202)


@router.get("", response_model=StatementsPage)
def list_statements(
    services: AllServices,
    caller: Caller,
    state: Annotated[list[JobState] | None, Query(description="Any of these.")] = None,
    queue: str | None = None,
    engine: EngineName | None = None,
    label: Annotated[list[str] | None, Query(description="`NAME=VALUE`; all must fit.")] = None,
    start: Annotated[
        datetime | None, Query(alias="from", description="Created then or later.")
    ] = None,
    end: Annotated[datetime | None, Query(alias="to", description="Created before.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The project's statements, newest first."""
    wanted = JobFilter(
        kinds=frozenset({JobKind.STATEMENT}),
        states=frozenset(state or ()),
        queue=queue,
        engine=engine,
        labels=dict(label_of(text) for text in label or ()),
        created_from=results.aware(start),
        created_to=results.aware(end),
    )
    page = services.jobs.list(caller.project_id, wanted, cursor=cursor, limit=limit)
    items = [listed_json(view, services.book) for view in page.items]
    return json_response(page_json(items, page.next_cursor))


@router.get(
    "/{statement_id}",
    response_model=StatementReply,
    responses={304: {"description": "As in `If-None-Match`."}},
)
async def get_statement(
    request: Request,
    services: AllServices,
    caller: Caller,
    statement_id: str,
    wait: Annotated[
        Span | None, Query(description="Answer when it changes, or after this.")
    ] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """One statement. With `wait`, as soon as it is not what `If-None-Match` says, or changes."""
    view = await run_in_threadpool(services.jobs.get, caller.project_id, JobId(statement_id))
    of_kind(view, JobKind.STATEMENT)
    if wait is not None:
        check_wait(services, wait)
        view = await streams.wait_until(
            services,
            view,
            streams.differs_from(if_none_match, view),
            wait=wait,
            gone=request.is_disconnected,
        )
    if if_none_match == etag_of(view):
        return Response(status_code=304, headers={"ETag": etag_of(view)})
    return answer(services, view, 200)


@router.post("/{statement_id}/cancel", response_model=StatementReply)
def cancel_statement(
    services: AllServices, caller: Caller, statement_id: str, key: IdempotencyKey
) -> Response:
    """Ask for the end. It is `cancelled` when its work has stopped, `cancelling` until then.

    Readers may cancel their own.
    """
    check_own(services, caller, statement_id)

    def cancel() -> tuple[int, dict[str, Any]]:
        view = services.jobs.cancel(caller.project_id, JobId(statement_id), by=caller.user_id)
        return 200, job_json(view, services.book)

    once = Once(project_id=caller.project_id, key=key, path=f"cancel {statement_id}", body=None)
    return do_once(services, once, cancel)


@router.get(
    "/{statement_id}/result",
    response_class=Response,
    responses={200: {"content": {form: {} for form in results.FORMS}}},
)
def get_result(
    services: AllServices,
    caller: Caller,
    statement_id: str,
    accept: Annotated[str | None, Header(description="One of the forms below.")] = None,
    chunk: Annotated[int | None, Query(description="Only this one, from 0.")] = None,
) -> Response:
    """The rows, whole or one chunk, as an Arrow stream, Parquet, CSV or JSON."""
    return results.result_response(
        services, caller.project_id, JobId(statement_id), accept=accept, chunk=chunk
    )


@router.delete("/{statement_id}/result", status_code=204)
def delete_result(services: AllServices, caller: Caller, statement_id: str) -> Response:
    """Drop the rows before they expire; the statement and its bill stay. Readers: their own."""
    check_own(services, caller, statement_id)
    services.jobs.delete_result(caller.project_id, JobId(statement_id))
    return Response(status_code=204)


@router.get("/{statement_id}/bill", response_model=KeptBillReply)
def get_bill(services: AllServices, caller: Caller, statement_id: str) -> Response:
    """What the statement costs, line by line, as it was settled."""
    view = services.jobs.get(caller.project_id, JobId(statement_id))
    with services.database.read() as tx:
        bill = find_bill(tx, caller.project_id, view.job.id)
    return json_response(kept_bill_json(view.job.id, bill, services.book.currency))


@router.get("/{statement_id}/events", response_class=Response)
async def follow_statement(
    services: AllServices,
    caller: Caller,
    statement_id: str,
    last_event_id: Annotated[str | None, Header(description="Resume after this event.")] = None,
) -> Response:
    """Server-sent events: each state (with an id), progress, and usage with the bill at the end."""
    after = last_event_id or "0"
    if not after.isdigit():
        raise InvalidRequestError("Last-Event-ID: is the number of an event")
    return await streams.job_events(
        services, caller.project_id, JobId(statement_id), after=int(after)
    )


def _plan(services: Services, asked: StatementRequest, mode: Mode) -> Response:
    work = {
        Mode.ESTIMATE: services.jobs.estimate,
        Mode.VALIDATE: services.jobs.validate,
        Mode.EXPLAIN: services.jobs.explain,
    }[mode]
    return json_response(plan_json(work(asked), mode=mode.value))
