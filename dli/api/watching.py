"""What the routes of jobs of all kinds share: answers, waits, and whose job it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query, Response

from dli.api.envelope import NOUNS, PREFIX, etag_of, job_json, kept_bill_json, listed_json
from dli.api.idempotency import Once, do_once
from dli.api.results import aware
from dli.api.wire import InvalidRequestError, json_response, page_json
from dli.billing.bills import find_bill
from dli.identity.principals import Principal, Role
from dli.services import Services
from jobs.errors import JobMissingError
from jobs.lifecycle.spec import JobKind
from jobs.lifecycle.states import JobState
from jobs.service import JobFilter, JobView
from storage.base.ids import JobId

_NUMBER = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What lists of jobs are asked in the same way, whatever the kind."""

    wanted: JobFilter
    cursor: str | None
    limit: int


async def _listing(
    state: Annotated[list[JobState] | None, Query(description="Any of these.")] = None,
    queue: str | None = None,
    label: Annotated[list[str] | None, Query(description="`NAME=VALUE`; all must fit.")] = None,
    start: Annotated[
        datetime | None, Query(alias="from", description="Created then or later.")
    ] = None,
    end: Annotated[datetime | None, Query(alias="to", description="Created before.")] = None,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Listing:
    wanted = JobFilter(
        states=frozenset(state or ()),
        queue=queue,
        labels=dict(label_of(text) for text in label or ()),
        created_from=aware(start),
        created_to=aware(end),
    )
    return Listing(wanted=wanted, cursor=cursor, limit=limit)


AskedListing = Annotated[Listing, Depends(_listing)]


def page_answer(
    services: Services, caller: Principal, asked: Listing, wanted: JobFilter
) -> Response:
    """A page of the jobs that are ``wanted``, newest first."""
    page = services.jobs.list(caller.project_id, wanted, cursor=asked.cursor, limit=asked.limit)
    items = [listed_json(view, services.book) for view in page.items]
    return json_response(page_json(items, page.next_cursor))


def cancel_answer(services: Services, caller: Principal, job_id: str, key: str | None) -> Response:
    """Ask for a job's end; who may only read, for the end of an own one."""
    check_own(services, caller, job_id)

    def cancel() -> tuple[int, dict[str, Any]]:
        view = services.jobs.cancel(caller.project_id, JobId(job_id), by=caller.user_id)
        return 200, job_json(view, services.book)

    once = Once(project_id=caller.project_id, key=key, path=f"cancel {job_id}", body=None)
    return do_once(services, once, cancel)


def bill_answer(services: Services, caller: Principal, job_id: str) -> Response:
    """What a job costs, as it was settled."""
    view = services.jobs.get(caller.project_id, JobId(job_id))
    with services.database.read() as tx:
        bill = find_bill(tx, caller.project_id, view.job.id)
    return json_response(kept_bill_json(view.job.id, bill, services.book.currency))


def event_number(last_event_id: str | None) -> int:
    """After which event a stream goes on. Raises ``InvalidRequestError``."""
    if last_event_id is not None and not _NUMBER.fullmatch(last_event_id):
        raise InvalidRequestError("Last-Event-ID: is the number of an event")
    return int(last_event_id or 0)


def answer(services: Services, view: JobView, status: int) -> Response:
    """The envelope; with 202, where to look for the end."""
    headers = {"ETag": etag_of(view)}
    if status == 202:
        headers["Location"] = f"{PREFIX}/{NOUNS[view.job.kind]}/{view.job.id}"
    return json_response(job_json(view, services.book), status, headers)


def unless_known(services: Services, view: JobView, known: str | None) -> Response:
    """The envelope, or 304 for one who has it."""
    if known == etag_of(view):
        return Response(status_code=304, headers={"ETag": etag_of(view)})
    return answer(services, view, 200)


def ended(view: JobView) -> bool:
    """Whether nothing can happen to it any more."""
    return view.job.state.terminal


def check_own(services: Services, caller: Principal, job_id: str) -> None:
    """Who may only read ends, renews and drops nothing of somebody else's."""
    view = services.jobs.get(caller.project_id, JobId(job_id))
    if view.job.user_id != caller.user_id:
        caller.require(Role.WRITER)


def of_kind(view: JobView, kind: JobKind) -> JobView:
    """``view`` itself; raises ``JobMissingError`` for a job of another kind."""
    if view.job.kind is not kind:
        raise JobMissingError(
            f"{view.job.id} is a {view.job.kind.value}, no {kind.value}",
            hint=f"see {PREFIX}/jobs/{view.job.id}",
            job_id=view.job.id,
        )
    return view


def label_of(text: str) -> tuple[str, str]:
    """A filter ``NAME=VALUE``. Raises ``InvalidRequestError``."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidRequestError(f"label: {text!r} is not of the form NAME=VALUE")
    return name, value
