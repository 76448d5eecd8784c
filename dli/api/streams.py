"""The only asynchronous module of the service: waiting for jobs, and streams to clients.

A waiting request holds no thread. Domain calls go to the bounded pool of threads one by one.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial

from fastapi.concurrency import run_in_threadpool
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from dli.api.envelope import bill_of, etag_of, event_json, usage_json
from dli.api.wire import InvalidRequestError, dumps
from dli.identity.principals import Principal
from dli.services import Services
from jobs.launchers.api import LogStream
from jobs.service import JobView
from storage.base.ids import JobId, ProjectId

#: A wake-up that is lost, or made by another replica, delays an answer by this at most.
_LOOK_AGAIN = 1.0  # seconds
_LOG_LOOK = 0.5  # seconds


async def wait_until(
    services: Services,
    first: JobView,
    wanted: Callable[[JobView], bool],
    *,
    wait: timedelta,
    gone: Callable[[], Awaitable[bool]],
) -> JobView:
    """The job as soon as it is as ``wanted``, or after ``wait``, or when the client is ``gone``."""
    if wanted(first) or wait <= timedelta(0):
        return first
    project_id, job_id = first.job.project_id, first.job.id
    deadline = asyncio.get_running_loop().time() + wait.total_seconds()
    changes = True
    with _Changed(services, job_id) as changed:
        while True:
            view = services.jobs.remembered(project_id, job_id)
            if view is None:
                view = await run_in_threadpool(services.jobs.get, project_id, job_id)
            left = deadline - asyncio.get_running_loop().time()
            if wanted(view) or left <= 0 or services.closing.is_set():
                return view
            if not changes and await gone():  # one who was heard just now is not asked
                return view
            changes = await changed.wait(min(left, _LOOK_AGAIN))


def check_wait(services: Services, wait: timedelta) -> None:
    """Raise ``InvalidRequestError`` for a wait that is longer than the service allows."""
    most = services.settings.max_wait
    if wait > most:
        raise InvalidRequestError(
            f"wait: at most {most.total_seconds():g}s", hint="ask again for longer waits"
        )


async def watched(
    request: Request,
    services: Services,
    caller: Principal,
    job_id: str,
    *,
    wait: timedelta | None,
    known: str | None,
) -> JobView:
    """A job; with ``wait``, as soon as it is news to one who knows that etag, or after it."""
    view = await run_in_threadpool(services.jobs.get, caller.project_id, JobId(job_id))
    if wait is None:
        return view
    check_wait(services, wait)
    differs = differs_from(known, view)
    return await wait_until(services, view, differs, wait=wait, gone=request.is_disconnected)


async def job_events(
    services: Services, project_id: ProjectId, job_id: JobId, *, after: int
) -> Response:
    """Server-sent events of a job: ``state`` (with ids, to resume), ``progress``, ``usage``.

    Resuming after the last event of a job that ended is 204, which tells a browser to stop.
    """
    view = await run_in_threadpool(services.jobs.get, project_id, job_id)
    if view.job.state.terminal and after >= view.job.version:
        return Response(status_code=204)
    return EventSourceResponse(_events(services, view, after), ping=15)


async def _events(services: Services, view: JobView, after: int) -> AsyncIterator[ServerSentEvent]:
    project_id, job_id = view.job.project_id, view.job.id
    told = view.progress
    with _Changed(services, job_id) as changed:
        while True:
            view = await run_in_threadpool(services.jobs.get, project_id, job_id)
            steps = await run_in_threadpool(services.jobs.events, project_id, job_id, after=after)
            for step in steps:
                after = step.version
                yield _event("state", event_json(step), str(step.version))
            if view.progress != told:
                told = view.progress
                yield _event(
                    "progress",
                    {"rows": told.rows, "bytes": told.bytes, "fraction": told.fraction},
                )
            if view.job.state.terminal and after >= view.job.version:
                usage = {"usage": usage_json(view.usage), "bill": bill_of(view, services.book)}
                yield _event("usage", usage)
                return
            if services.closing.is_set():
                return
            await changed.wait(_LOOK_AGAIN)


async def followed_log(
    services: Services,
    view: JobView,
    *,
    stream: LogStream,
    attempt: int | None,
    offset: int,
) -> AsyncIterator[bytes]:
    """What a job writes, as it comes, until the job is at its end or the service is.

    Without ``attempt`` it goes on with the next one when one has failed.
    """
    project_id, job_id = view.job.project_id, view.job.id
    number = attempt
    with _Changed(services, job_id) as changed:
        while True:
            view = await run_in_threadpool(services.jobs.get, project_id, job_id)
            if attempt is None and number not in (None, 0, view.job.attempt):
                offset = 0
            number = attempt or view.job.attempt
            part = await run_in_threadpool(
                partial(
                    services.jobs.log,
                    project_id,
                    job_id,
                    stream=stream,
                    attempt=number or None,
                    offset=offset,
                )
            )
            if part.data:
                offset = part.end
                yield part.data
            elif view.job.state.terminal or services.closing.is_set():
                return
            else:
                await changed.wait(_LOG_LOOK)


def differs_from(etag: str | None, first: JobView) -> Callable[[JobView], bool]:
    """Whether a view is news to one who knows ``etag`` or, without one, the ``first`` view."""
    known = etag or etag_of(first)
    return lambda view: etag_of(view) != known or (etag is None and view.job.state.terminal)


def streamed(pieces: Iterator[bytes], media_type: str, headers: dict[str, str]) -> Response:
    """A body that is made while it is sent. What fails before the first piece is raised here."""
    first = next(pieces, b"")
    return StreamingResponse(
        itertools.chain((first,), pieces), media_type=media_type, headers=headers
    )


def _event(name: str, body: object, event_id: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data=dumps(body).decode(), event=name, id=event_id)


class _Changed:
    """An asyncio event that the hub of changes sets from any thread."""

    def __init__(self, services: Services, job_id: JobId) -> None:
        self._services = services
        self._job_id = job_id
        self._event = asyncio.Event()

    def __enter__(self) -> _Changed:
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._services.changes.subscribe(self._job_id, self._wake)
        return self

    def _wake(self) -> None:
        """Called from any thread, maybe after the loop has ended with the service."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._event.set)

    def __exit__(self, *_: object) -> None:
        self._unsubscribe()

    async def wait(self, seconds: float) -> bool:
        """True after the next change, or one since the last wait; false after ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
