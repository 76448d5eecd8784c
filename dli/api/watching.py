"""What the routes of jobs of all kinds share: answers, waits, and whose job it is."""

from __future__ import annotations

from datetime import timedelta

from fastapi import Response

from dli.api.envelope import NOUNS, PREFIX, etag_of, job_json
from dli.api.wire import InvalidRequestError, json_response
from dli.identity.principals import Principal, Role
from dli.services import Services
from jobs.errors import JobMissingError
from jobs.lifecycle.spec import JobKind
from jobs.service import JobView
from storage.base.ids import JobId


def answer(services: Services, view: JobView, status: int) -> Response:
    """The envelope; with 202, where to look for the end."""
    headers = {"ETag": etag_of(view)}
    if status == 202:
        headers["Location"] = f"{PREFIX}/{NOUNS[view.job.kind]}/{view.job.id}"
    return json_response(job_json(view, services.book), status, headers)


def ended(view: JobView) -> bool:
    """Whether nothing can happen to it any more."""
    return view.job.state.terminal


def check_wait(services: Services, wait: timedelta) -> None:
    """Raise ``InvalidRequestError`` for a wait that is longer than the service allows."""
    most = services.settings.max_wait
    if wait > most:
        raise InvalidRequestError(
            f"wait: at most {most.total_seconds():g}s", hint="ask again for longer waits"
        )


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
