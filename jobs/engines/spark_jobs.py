"""Ending Spark jobs that outlived their statement, through the server's own status pages.

An interrupt that comes while a statement is planned can lose a race inside Spark 4.2: the statement
ends as cancelled, its first job is submitted a moment later, runs on for ever, and neither another
interrupt nor the release of the session ends it. Each job carries its operation's id as a tag.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import threading
from typing import Any, TypeAlias

Pages: TypeAlias = tuple[str, int]  #: host and port of a server's status pages

log = logging.getLogger(__name__)

_LOOKS = (0.05, 0.15, 0.3, 0.5, 1.0, 2.0, 3.0, 3.0)  # seconds before each
_TOKEN = re.compile(rb'name="csrfToken" value="(\w+)"')  # of the server's forms, always the same
_TIMEOUT = 30.0  # the first answer of a server takes seconds


def kill_leftovers(at: Pages, operation_id: str) -> int:
    """Look for jobs of an interrupted operation for ten seconds, and kill them; how many."""
    killed: set[int] = set()
    pause = threading.Event()
    for seconds in _LOOKS:
        pause.wait(seconds)
        try:
            for job in _running(at, operation_id) - killed:
                _kill(at, job)
                killed.add(job)
        except (OSError, http.client.HTTPException, ValueError) as error:
            log.info("status pages do not answer", extra={"reason": str(error)})
    if killed:
        log.info("leftover jobs killed", extra={"operation": operation_id, "count": len(killed)})
    return len(killed)


def is_idle(at: Pages) -> bool:
    """Whether no job runs and no task: one that was killed runs on until it notices.

    A task looks up between batches of a thousand rows, seconds apart in a cross join.
    """
    try:
        application = _application(at)
        executors: list[dict[str, Any]] = json.loads(_ask(at, "GET", f"{application}/executors"))
        busy = any(executor["activeTasks"] for executor in executors)
        return not busy and not _jobs(at)
    except (OSError, http.client.HTTPException, ValueError) as error:
        log.info("status pages do not answer", extra={"reason": str(error)})
        return False


def _running(at: Pages, operation_id: str) -> set[int]:
    tag = f"_Operation_{operation_id}"
    return {
        int(job["jobId"])
        for job in _jobs(at)
        if any(each.endswith(tag) for each in job.get("jobTags", ()))
    }


def _jobs(at: Pages) -> list[dict[str, Any]]:
    """Those that run."""
    path = f"{_application(at)}/jobs?status=running"
    jobs: list[dict[str, Any]] = json.loads(_ask(at, "GET", path))
    return jobs


def _application(at: Pages) -> str:
    """The path of what is told of the one application."""
    [application] = json.loads(_ask(at, "GET", "/api/v1/applications"))
    return f"/api/v1/applications/{application['id']}"


def _kill(at: Pages, job: int) -> None:
    """Press the button of the page: a form with a token against forged requests."""
    token = _TOKEN.search(_ask(at, "GET", "/jobs/"))
    if token is None:  # no job runs any more
        return
    _ask(at, "POST", "/jobs/job/kill/", f"id={job}&csrfToken={token[1].decode()}")


def _ask(at: Pages, method: str, path: str, form: str | None = None) -> bytes:
    """The answer's body; raises ``ValueError`` for a refusal. Redirects are not followed."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
    connection = http.client.HTTPConnection(*at, timeout=_TIMEOUT)
    try:
        connection.request(method, path, form, headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status >= 400:
        raise ValueError(f"{method} {path}: {answer.status} {answer.reason}")
    return body
