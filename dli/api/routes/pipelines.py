"""``/pipelines``, ``/runs``, ``/backfills``: plans of jobs, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from dli.api import streams
from dli.api.deps import AllServices, Caller, IdempotencyKey
from dli.api.envelope import listed_json
from dli.api.idempotency import Once, do_once
from dli.api.pipelines import (
    applied_json,
    backfill_json,
    difference_json,
    pipeline_schema,
    plan_json,
    revision_json,
    run_json,
    summary_json,
)
from dli.api.requests import run_request
from dli.api.schemas.fields import MOST_NUMBER
from dli.api.schemas.jobs import JobReply, JobsPage
from dli.api.schemas.pipelines import (
    BackfillBody,
    BackfillReply,
    BackfillResume,
    BackfillsPage,
    DiffBody,
    DiffReply,
    PipelineBody,
    PipelineReply,
    PipelinesPage,
    PlanBody,
    PlanReply,
    ResumeBody,
    RollbackBody,
    RunBody,
    RunReply,
)
from dli.api.terms import submitter_of, terms_of
from dli.api.watching import answer, ended
from dli.api.wire import json_response, page_json
from dli.identity.principals import Role
from jobs.pipelines.backfills import BackfillRequest
from storage.base.ids import JobId

router = APIRouter(tags=["pipelines"])

Limit = Annotated[int, Query(ge=1, le=1000)]
Number = Annotated[
    int | None, Query(ge=1, le=MOST_NUMBER, description="The one in force if not given.")
]


@router.get("/schemas/pipeline.json", response_class=Response)
def get_pipeline_schema(caller: Caller) -> Response:
    """The JSON Schema of a pipeline file."""
    return json_response(pipeline_schema())


@router.get("/pipelines", response_model=PipelinesPage)
def list_pipelines(services: AllServices, caller: Caller) -> Response:
    """The project's pipelines, by name."""
    found = services.pipelines.list(caller.project_id)
    return json_response(page_json([summary_json(each) for each in found]))


@router.put("/pipelines/{pipeline}", response_model=PipelineReply)
def apply_pipeline(
    services: AllServices, caller: Caller, pipeline: str, body: PipelineBody
) -> Response:
    """Put a text in force: a new revision if it changes anything. Needs the role writer."""
    caller.require(Role.WRITER)
    text = body.model_dump(exclude_unset=True)
    applied = services.pipelines.apply(caller.project_id, caller.user_id, pipeline, text)
    return json_response(applied_json(applied))


@router.get("/pipelines/{pipeline}", response_model=PipelineReply)
def get_pipeline(
    services: AllServices, caller: Caller, pipeline: str, revision: Number = None
) -> Response:
    """A revision of a pipeline with its text and its graph."""
    found = services.pipelines.get(caller.project_id, pipeline, number=revision)
    return json_response(revision_json(found))


@router.delete("/pipelines/{pipeline}", status_code=204)
def delete_pipeline(services: AllServices, caller: Caller, pipeline: str) -> Response:
    """Take it out of force; revisions and runs stay. Needs the role writer."""
    caller.require(Role.WRITER)
    services.pipelines.delete(caller.project_id, pipeline)
    return Response(status_code=204)


@router.get("/pipelines/{pipeline}/revisions", response_model=PipelinesPage)
def list_revisions(services: AllServices, caller: Caller, pipeline: str) -> Response:
    """All revisions, newest first."""
    found = services.pipelines.revisions(caller.project_id, pipeline)
    return json_response(page_json([summary_json(each) for each in found]))


@router.get("/pipelines/{pipeline}/diff", response_model=DiffReply)
def diff_revisions(
    services: AllServices,
    caller: Caller,
    pipeline: str,
    before: Annotated[
        int | None, Query(ge=1, le=MOST_NUMBER, description="The one before, if not given.")
    ] = None,
    after: Number = None,
) -> Response:
    """What changed between two revisions."""
    found = services.pipelines.diff(caller.project_id, pipeline, before=before, after=after)
    return json_response(difference_json(found))


@router.post("/pipelines/{pipeline}/diff", response_model=DiffReply)
def diff_text(services: AllServices, caller: Caller, pipeline: str, body: DiffBody) -> Response:
    """What applying a text would change; nothing is kept."""
    text = body.pipeline.model_dump(exclude_unset=True)
    found = services.pipelines.diff_text(caller.project_id, pipeline, text, before=body.revision)
    return json_response(difference_json(found))


@router.post("/pipelines/{pipeline}/plan", response_model=PlanReply)
def plan_pipeline(services: AllServices, caller: Caller, pipeline: str, body: PlanBody) -> Response:
    """Order, reasons and prices of a run; nothing is kept."""
    by = submitter_of(caller)
    if body.pipeline is not None:
        text = body.pipeline.model_dump(exclude_unset=True)
        plan = services.pipelines.plan_text(by, pipeline, text, body.parameters)
    else:
        plan = services.pipelines.plan(by, pipeline, body.parameters, number=body.revision)
    return json_response(plan_json(plan, services.book))


@router.post("/pipelines/{pipeline}/rollback", response_model=PipelineReply)
def roll_back_pipeline(
    services: AllServices, caller: Caller, pipeline: str, body: RollbackBody, key: IdempotencyKey
) -> Response:
    """Make a new revision that equals an old one. Needs the role writer."""
    caller.require(Role.WRITER)

    def roll_back() -> tuple[int, dict[str, Any]]:
        applied = services.pipelines.rollback(
            caller.project_id, caller.user_id, pipeline, body.revision
        )
        return 200, applied_json(applied)

    path = f"rollback {pipeline}"
    once = Once(project_id=caller.project_id, key=key, path=path, body=body.revision)
    return do_once(services, once, roll_back)


@router.get("/pipelines/{pipeline}/runs", response_model=JobsPage)
def list_runs(
    services: AllServices,
    caller: Caller,
    pipeline: str,
    cursor: str | None = None,
    limit: Limit = 100,
) -> Response:
    """Runs of a pipeline, newest first."""
    page = services.pipelines.runs(caller.project_id, pipeline, cursor=cursor, limit=limit)
    items = [listed_json(view, services.book) for view in page.items]
    return json_response(page_json(items, page.next_cursor))


@router.post("/pipelines/{pipeline}/runs", response_model=JobReply, status_code=202)
async def run_pipeline(
    request: Request,
    services: AllServices,
    caller: Caller,
    pipeline: str,
    body: RunBody,
    key: IdempotencyKey,
) -> Response:
    """Run a pipeline: 200 if it ends within `wait`, else 202. Needs the role writer."""
    caller.require(Role.WRITER)
    streams.check_wait(services, body.wait)
    asked = run_request(pipeline, body, submitter_of(caller), key=key)
    view = await run_in_threadpool(services.pipelines.run, asked)
    view = await streams.wait_until(
        services, view, ended, wait=body.wait, gone=request.is_disconnected
    )
    return answer(services, view, 200 if ended(view) else 202)


@router.get("/runs/{run_id}", response_model=RunReply)
def get_run(services: AllServices, caller: Caller, run_id: str) -> Response:
    """A run with its nodes: states, jobs, times, outputs, and what it costs so far."""
    run = services.pipelines.run_view(caller.project_id, JobId(run_id))
    return json_response(run_json(run, services.book))


@router.post("/runs/{run_id}/resume", response_model=JobReply, status_code=202)
async def resume_run(
    request: Request,
    services: AllServices,
    caller: Caller,
    run_id: str,
    body: ResumeBody,
    key: IdempotencyKey,
) -> Response:
    """A new run of the same revision that takes over what succeeded. Needs the role writer."""
    caller.require(Role.WRITER)
    streams.check_wait(services, body.wait)
    terms = terms_of(body, submitter_of(caller), key=key)
    view = await run_in_threadpool(services.pipelines.resume, terms, JobId(run_id))
    view = await streams.wait_until(
        services, view, ended, wait=body.wait, gone=request.is_disconnected
    )
    return answer(services, view, 200 if ended(view) else 202)


@router.get("/pipelines/{pipeline}/backfills", response_model=BackfillsPage)
def list_backfills(services: AllServices, caller: Caller, pipeline: str) -> Response:
    """Backfills of a pipeline, newest first, without their days."""
    found = services.pipelines.backfills(caller.project_id, pipeline)
    return json_response(page_json([backfill_json(each, services.book) for each in found]))


@router.post("/pipelines/{pipeline}/backfills", response_model=BackfillReply, status_code=202)
def start_backfill(
    services: AllServices, caller: Caller, pipeline: str, body: BackfillBody, key: IdempotencyKey
) -> Response:
    """Run the pipeline once for each day, under one cap. Needs the role writer."""
    caller.require(Role.WRITER)
    asked = BackfillRequest(**dict(body))

    def start() -> tuple[int, dict[str, Any]]:
        made = services.pipelines.backfill(caller.project_id, caller.user_id, pipeline, asked)
        return 202, backfill_json(made, services.book)

    told = body.model_dump(mode="json")
    path = f"backfill {pipeline}"
    return do_once(
        services, Once(project_id=caller.project_id, key=key, path=path, body=told), start
    )


@router.get("/backfills/{backfill_id}", response_model=BackfillReply)
def get_backfill(services: AllServices, caller: Caller, backfill_id: str) -> Response:
    """A backfill with its days."""
    found = services.pipelines.backfill_view(caller.project_id, backfill_id)
    return json_response(backfill_json(found, services.book))


@router.post("/backfills/{backfill_id}/cancel", response_model=BackfillReply)
def cancel_backfill(
    services: AllServices, caller: Caller, backfill_id: str, key: IdempotencyKey
) -> Response:
    """Start no more days and cancel the runs that go on. Needs the role writer."""
    caller.require(Role.WRITER)

    def cancel() -> tuple[int, dict[str, Any]]:
        found = services.pipelines.cancel_backfill(caller.project_id, backfill_id)
        return 200, backfill_json(found, services.book)

    path = f"cancel {backfill_id}"
    once = Once(project_id=caller.project_id, key=key, path=path, body=None)
    return do_once(services, once, cancel)


@router.post("/backfills/{backfill_id}/resume", response_model=BackfillReply, status_code=202)
def resume_backfill(
    services: AllServices,
    caller: Caller,
    backfill_id: str,
    body: BackfillResume,
    key: IdempotencyKey,
) -> Response:
    """Go on with the days that did not succeed. Needs the role writer."""
    caller.require(Role.WRITER)

    def resume() -> tuple[int, dict[str, Any]]:
        found = services.pipelines.resume_backfill(
            caller.project_id, backfill_id, max_cost=body.max_cost
        )
        return 202, backfill_json(found, services.book)

    path = f"resume {backfill_id}"
    once = Once(project_id=caller.project_id, key=key, path=path, body=body.max_cost)
    return do_once(services, once, resume)
