"""``/statements``: submit, watch, fetch, cancel."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from dli.api import results, streams
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.envelope import (
    plan_json,
)
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
from dli.api.watching import (
    AskedListing,
    answer,
    bill_answer,
    cancel_answer,
    check_own,
    ended,
    event_number,
    of_kind,
    page_answer,
    unless_known,
)
from dli.api.wire import json_response
from dli.services import Services
from jobs.lifecycle.spec import EngineName, JobKind
from jobs.service import StatementRequest
from storage.base.ids import JobId

router = APIRouter(prefix="/statements", tags=["statements"])


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
    streams.check_wait(services, body.wait)
    view = await run_in_threadpool(services.jobs.submit, asked)
    view = await streams.wait_until(
        services, view, ended, wait=body.wait, gone=request.is_disconnected
    )
    return answer(services, view, 200 if ended(view) else 202)


@router.get("", response_model=StatementsPage)
def list_statements(
    services: AllServices,
    caller: Caller,
    asked: AskedListing,
    engine: EngineName | None = None,
) -> Response:
    """The project's statements, newest first."""
    kinds = frozenset({JobKind.STATEMENT})
    wanted = replace(asked.wanted, kinds=kinds, engine=engine)
    return page_answer(services, caller, asked, wanted)


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
    view = await streams.watched(
        request, services, caller, statement_id, wait=wait, known=if_none_match
    )
    of_kind(view, JobKind.STATEMENT)
    return unless_known(services, view, if_none_match)


@router.post("/{statement_id}/cancel", response_model=StatementReply)
def cancel_statement(
    services: AllServices, caller: Caller, statement_id: str, key: IdempotencyKey
) -> Response:
    """Ask for the end. It is `cancelled` when its work has stopped, `cancelling` until then.

    Readers may cancel their own.
    """
    return cancel_answer(services, caller, statement_id, key)


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
    return bill_answer(services, caller, statement_id)


@router.get("/{statement_id}/events", response_class=Response)
async def follow_statement(
    services: AllServices,
    caller: Caller,
    statement_id: str,
    last_event_id: Annotated[str | None, Header(description="Resume after this event.")] = None,
) -> Response:
    """Server-sent events: each state (with an id), progress, and usage with the bill at the end."""
    after = event_number(last_event_id)
    return await streams.job_events(services, caller.project_id, JobId(statement_id), after=after)


def _plan(services: Services, asked: StatementRequest, mode: Mode) -> Response:
    work = {
        Mode.ESTIMATE: services.jobs.estimate,
        Mode.VALIDATE: services.jobs.validate,
        Mode.EXPLAIN: services.jobs.explain,
    }[mode]
    return json_response(plan_json(work(asked), mode=mode.value))
